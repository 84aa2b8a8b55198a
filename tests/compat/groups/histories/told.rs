//! What an answer says, in a form that does not depend on ids that brokers draw, on the order of
//! hash maps or on clocks.

use std::fmt::Debug;

use logway_protocol::message::consumer_group_heartbeat::TopicPartitions;

/// An answer.
#[derive(Debug, Default, Clone)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) error: i16,
    /// A member's id.
    pub(super) member: Option<String>,
    /// Ids of other members.
    pub(super) others: Vec<String>,
    /// A generation or an epoch.
    pub(super) number: i32,
    pub(super) leads: bool,
    pub(super) protocol: Option<String>,
    pub(super) pid: Option<i64>,
    pub(super) assigned: Option<Vec<TopicPartitions>>,
}

impl Told {
    pub(super) fn of(answer: &impl Debug, error: i16) -> Told {
        Told {
            text: format!("{answer:?}"),
            error,
            ..Told::default()
        }
    }

    pub(super) fn closed() -> Told {
        Told {
            text: "the connection was closed".to_owned(),
            error: -1,
            ..Told::default()
        }
    }
}

/// The ids that one broker has drawn within a sequence.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pub(super) members: Vec<String>,
    pub(super) pids: Vec<i64>,
}

impl Ids {
    /// Names what is drawn by its order.
    pub(super) fn rename(&mut self, told: &mut Told) {
        for id in told.member.iter().chain(&told.others) {
            // Members name themselves in a few letters.
            if id.len() > 20 && !self.members.contains(id) {
                self.members.push(id.clone());
            }
        }
        for (nth, id) in self.members.iter().enumerate() {
            told.text = told.text.replace(id.as_str(), &format!("M{nth}"));
        }
        self.rename_producers(&mut told.text);
    }

    fn rename_producers(&mut self, text: &mut String) {
        const KEY: &str = "producer_id: ";
        let mut renamed = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(KEY) {
            let (before, after) = rest.split_at(at + KEY.len());
            let end = after.find([',', ' ', '}']).unwrap_or(after.len());
            let (number, next) = after.split_at(end);
            renamed.push_str(before);
            match number.parse::<i64>() {
                Ok(id) if id >= 0 => {
                    let nth = self.pids.iter().position(|known| *known == id);
                    let nth = nth.unwrap_or_else(|| {
                        self.pids.push(id);
                        self.pids.len() - 1
                    });
                    renamed.push_str(&format!("P{nth}"));
                }
                _ => renamed.push_str(number),
            }
            rest = next;
        }
        renamed.push_str(rest);
        *text = renamed;
    }
}
