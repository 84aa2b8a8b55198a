//! What is asked of groups of the consumer protocol, in order. Each scene has groups of its own.

use logway_protocol::Text;
use logway_protocol::message::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use logway_protocol::message::delete_groups::DeleteGroupsRequest;
use logway_protocol::message::describe_groups::DescribeGroupsRequest;
use logway_protocol::message::list_groups::ListGroupsRequest;
use logway_protocol::message::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use logway_protocol::message::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};

use super::play::{Play, error, holding, join, plain};
use super::{deletion, migration};

/// All groups that are asked.
pub(super) const GROUPS: &[&str] = &[
    "bad",
    "e",
    "s",
    "o",
    "r0",
    "none",
    "simple5",
    "simple8",
    "simple9",
    "simple10",
    "r",
    "by-range",
    "by-uniform",
    "u",
    "sd",
    "c",
    "k",
    "b",
    "t",
    "short",
    "opaque",
    "round",
    "workers",
    "idle",
];

pub(super) fn all(play: &mut Play) {
    malformed(play);
    epochs(play);
    statics(play);
    offsets(play);
    expressions(play);
    assignors(play);
    migration::upgrade(play);
    migration::static_downgrade(play);
    migration::classic(play);
    topics(play);
    deletion::all(play);
}

/// What is wrong with a request.
type Change = fn(&mut ConsumerGroupHeartbeatRequest);

fn malformed(play: &mut Play) {
    let request = |change: Change| {
        let mut request = join("bad", "m", &["apples"]);
        change(&mut request);
        request
    };
    let cases: [(&str, Change); 18] = [
        ("no group", |r| r.group_id = Text::default()),
        ("no member", |r| r.member_id = Text::default()),
        ("no member, no group", |r| {
            (r.member_id, r.group_id) = (Text::default(), Text::default());
        }),
        ("epoch -5", |r| r.member_epoch = -5),
        ("no timeout", |r| r.rebalance_timeout_ms = -1),
        ("no topics", |r| r.subscribed_topic_names = None),
        ("owns something", |r| {
            r.topic_partitions = Some(vec![TopicPartitions::default()]);
        }),
        ("does not say what it owns", |r| r.topic_partitions = None),
        ("unknown assignor", |r| {
            r.server_assignor = Some(Text::from("none"));
        }),
        ("empty assignor", |r| {
            r.server_assignor = Some(Text::default());
        }),
        ("empty rack", |r| r.rack_id = Some(Text::default())),
        ("empty instance", |r| r.instance_id = Some(Text::default())),
        ("away without instance", |r| r.member_epoch = -2),
        ("broken expression", |r| {
            r.subscribed_topic_regex = Some(Text::from("a(b"));
        }),
        ("half an expression", |r| {
            r.subscribed_topic_regex = Some(Text::from("a)|(b"));
        }),
        ("stays in no group", |r| r.member_epoch = 3),
        ("leaves no group", |r| r.member_epoch = -1),
        ("goes from no group", |r| {
            (r.member_epoch, r.instance_id) = (-2, Some(Text::from("i")));
        }),
    ];
    for (label, change) in cases {
        play.beat(label, &request(change));
    }
    play.describe("nothing came of it", "bad");
}

fn epochs(play: &mut Play) {
    let (one, _) = play.beat("first joins", &join("e", "a", &["apples"]));
    play.describe("one", "e");
    let (_, had) = play.beat(
        "first says all",
        &ConsumerGroupHeartbeatRequest {
            member_epoch: one,
            ..join("e", "a", &["apples"])
        },
    );
    play.beat("silent", &plain("e", "a", one));
    play.beat("ahead", &plain("e", "a", 9));
    play.beat("behind", &plain("e", "a", one - 1));
    play.beat("joins again", &join("e", "a", &["apples"]));
    play.beat("stranger", &plain("e", "b", 1));
    let (two, _) = play.beat("second joins", &join("e", "b", &["apples"]));
    play.describe("two", "e");
    let (_, kept) = play.beat("first is told to give up", &holding("e", "a", one, &had));
    play.describe("moving", "e");
    play.beat("first has not", &plain("e", "a", one));
    play.beat("second waits", &plain("e", "b", two));
    play.beat("first has given up", &holding("e", "a", one, &kept));
    play.beat("first, its answer lost", &holding("e", "a", one, &kept));
    play.beat(
        "first, lying about the last epoch",
        &holding("e", "a", one, &had),
    );
    play.beat("second gets it", &plain("e", "b", two));
    play.describe("settled", "e");
    play.beat(
        "second wants more",
        &ConsumerGroupHeartbeatRequest {
            subscribed_topic_names: Some(vec![Text::from("apples"), Text::from("pears")]),
            ..plain("e", "b", two)
        },
    );
    play.beat("first after that", &plain("e", "a", two));
    let (three, _) = play.beat("second after that", &plain("e", "b", two + 1));
    play.beat("second joins again", &join("e", "b", &["apples", "pears"]));
    play.beat(
        "second joins again, wanting less",
        &join("e", "b", &["apples"]),
    );
    play.describe("without pears", "e");
    play.beat(
        "nothing wanted",
        &ConsumerGroupHeartbeatRequest {
            subscribed_topic_names: Some(Vec::new()),
            ..plain("e", "b", three)
        },
    );
    delete(play, "delete while members are", "e");
    play.beat("first leaves", &plain("e", "a", -1));
    play.beat("first leaves again", &plain("e", "a", -1));
    play.beat("second leaves", &plain("e", "b", -1));
    play.describe("empty", "e");
    play.beat("stays in an empty group", &plain("e", "b", 3));
    play.beat("joins anew", &join("e", "c", &["apples"]));
    play.beat("leaves anew", &plain("e", "c", -1));
    list(play, "list", &["e", "bad"]);
    delete(play, "delete", "e");
    delete(play, "delete again", "e");
    delete(play, "delete nothing", "");
    play.describe("deleted", "e");
}

fn statics(play: &mut Play) {
    let with = |request: ConsumerGroupHeartbeatRequest| ConsumerGroupHeartbeatRequest {
        instance_id: Some(Text::from("i")),
        ..request
    };
    play.beat("static joins", &with(join("s", "a", &["apples"])));
    play.beat(
        "a second with its instance",
        &with(join("s", "b", &["apples"])),
    );
    play.beat("joins again", &with(join("s", "a", &["apples"])));
    play.beat("stays under another id", &with(plain("s", "b", 1)));
    play.beat(
        "another instance",
        &ConsumerGroupHeartbeatRequest {
            instance_id: Some(Text::from("j")),
            ..plain("s", "a", 1)
        },
    );
    play.beat("without its instance", &plain("s", "a", 1));
    play.beat("goes away under another id", &with(plain("s", "b", -2)));
    play.beat("goes away", &with(plain("s", "a", -2)));
    play.describe("away", "s");
    play.beat("stays though away", &with(plain("s", "a", 1)));
    play.beat("comes back", &with(join("s", "b", &["apples"])));
    play.beat("the earlier one", &with(plain("s", "a", 1)));
    play.describe("back", "s");
    play.beat("leaves for good", &with(plain("s", "b", -1)));
    play.describe("gone", "s");
}

pub(super) fn fetch(
    play: &mut Play,
    label: &str,
    version: i16,
    (group, member, epoch): (&str, Option<&str>, i32),
) {
    let topics = ["apples", "nothing"].map(|name| OffsetFetchRequestTopics {
        name: Text::from(name),
        topic_id: if name == "apples" {
            play.id(name)
        } else {
            play.id("pears")
        },
        partition_indexes: vec![0, 99],
    });
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: Text::from(group),
            member_id: member.map(Text::from),
            member_epoch: epoch,
            topics: Some(topics.to_vec()),
        }],
        ..OffsetFetchRequest::default()
    };
    let answer = play.raw.ask(version, &request);
    let found = &answer.groups[0];
    let mut line = error(found.error_code);
    for topic in &found.topics {
        for of in &topic.partitions {
            line.push_str(&format!(
                " {}@{} {:?} {}",
                of.partition_index,
                of.committed_offset,
                of.metadata,
                error(of.error_code)
            ));
        }
    }
    play.note(label, &line);
}

pub(super) fn delete_offsets(play: &mut Play, label: &str, group: &str) {
    let topics = ["apples", "pears", "none"].map(|name| OffsetDeleteRequestTopic {
        name: Text::from(name),
        partitions: [0, 99]
            .map(|partition_index| OffsetDeleteRequestPartition { partition_index })
            .to_vec(),
    });
    let request = OffsetDeleteRequest {
        group_id: Text::from(group),
        topics: topics.to_vec(),
    };
    let answer = play.raw.ask(0, &request);
    let mut topics = answer.topics;
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    let each = topics.iter().flat_map(|topic| {
        let mut of = topic.partitions.clone();
        of.sort_by_key(|of| of.partition_index);
        of.into_iter().map(|of| {
            format!(
                " {}-{} {}",
                topic.name,
                of.partition_index,
                error(of.error_code)
            )
        })
    });
    let line = format!("{}{}", error(answer.error_code), each.collect::<String>());
    play.note(label, &line);
}

pub(super) fn delete(play: &mut Play, label: &str, group: &str) {
    let request = DeleteGroupsRequest {
        groups_names: vec![Text::from(group)],
    };
    let answer = play.raw.ask(2, &request);
    play.note(label, &error(answer.results[0].error_code));
}

pub(super) fn list(play: &mut Play, label: &str, groups: &[&str]) {
    let answer = play.raw.ask(5, &ListGroupsRequest::default());
    let mut found: Vec<String> = answer
        .groups
        .iter()
        .filter(|group| groups.contains(&&*group.group_id))
        .map(|group| {
            format!(
                "{} {:?} {} {}",
                group.group_id, group.protocol_type, group.group_state, group.group_type
            )
        })
        .collect();
    found.sort();
    play.note(label, &found.join(", "));
}

fn offsets(play: &mut Play) {
    let (one, had) = play.beat("joins to commit", &join("o", "a", &["apples"]));
    play.beat("a second", &join("o", "b", &["apples"]));
    let (_, kept) = play.beat("gives up", &holding("o", "a", one, &had));
    let (two, _) = play.beat("has given up", &holding("o", "a", one, &kept));
    play.note(
        "keeps partition 0",
        &format!("{}", kept[0].partitions.contains(&0)),
    );
    for version in [5, 8, 9, 10] {
        play.commit(&format!("v{version} its epoch"), version, ("o", "a", two));
        play.commit(
            &format!("v{version} an older epoch"),
            version,
            ("o", "a", two - 1),
        );
        play.commit(&format!("v{version} epoch 0"), version, ("o", "a", 0));
        play.commit(
            &format!("v{version} of what it has not"),
            version,
            ("o", "b", two - 1),
        );
        play.commit(&format!("v{version} a newer epoch"), version, ("o", "a", 5));
        play.commit(&format!("v{version} nobody"), version, ("o", "", -1));
        play.commit(&format!("v{version} a stranger"), version, ("o", "x", 1));
        play.commit(
            &format!("v{version} no such group, simple"),
            version,
            (&format!("simple{version}"), "", -1),
        );
        play.commit(
            &format!("v{version} no such group, member"),
            version,
            ("none", "x", 1),
        );
    }
    fetch(play, "fetch", 9, ("o", Some("a"), two));
    fetch(play, "fetch by id", 10, ("o", Some("a"), two));
    fetch(play, "fetch as nobody", 9, ("o", None, -1));
    fetch(play, "fetch as nobody in v8", 8, ("o", None, -1));
    fetch(play, "fetch an old epoch", 9, ("o", Some("a"), 0));
    fetch(play, "fetch as a stranger", 9, ("o", Some("x"), 1));
    fetch(
        play,
        "fetch of no group as a member",
        9,
        ("none", Some("x"), 1),
    );
    fetch(play, "fetch of no group", 9, ("none", None, -1));
    delete_offsets(play, "delete offsets in use", "o");
    delete_offsets(play, "delete offsets of no group", "none");
    delete_offsets(play, "delete simple offsets", "simple9");
    simple_groups(play);
}

/// Groups that hold offsets and have no members.
fn simple_groups(play: &mut Play) {
    list(play, "simple groups", &["simple5", "simple9", "o"]);
    let request = DescribeGroupsRequest {
        groups: ["o", "none", "simple8"].map(Text::from).to_vec(),
        ..DescribeGroupsRequest::default()
    };
    for version in [4, 5, 6] {
        for group in play.raw.ask(version, &request).groups {
            let line = format!(
                "{} {} {} {:?} {:?}",
                group.group_id,
                error(group.error_code),
                group.group_state,
                group.protocol_type,
                group.members.len()
            );
            play.note(&format!("classic describe v{version}"), &line);
        }
    }
    play.describe("consumer describe of a simple group", "simple8");
    play.beat("joins a simple group", &join("simple8", "a", &["apples"]));
    fetch(play, "its offsets are there", 9, ("simple8", Some("a"), 2));
    play.beat("leaves it", &plain("simple8", "a", -1));
    fetch(play, "still there", 9, ("simple8", None, -1));
    delete_offsets(play, "delete offsets of an empty group", "simple8");
    delete(play, "delete a group with offsets", "simple9");
    fetch(play, "nothing left", 9, ("simple9", None, -1));
}

fn expressions(play: &mut Play) {
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(Text::from("app.*|p.ars")),
        ..join("r", "a", &[])
    };
    let (epoch, _) = play.beat("joins by expression", &request);
    play.note("epoch", &epoch.to_string());
    // How soon the expression is matched is the broker's affair.
    let last = harness::eventually("the topics that match", || {
        let answer = play.raw.ask(1, &plain("r", "a", epoch));
        match answer.member_epoch {
            now if now == epoch => Err(now),
            now => Ok(now),
        }
    });
    play.note("last epoch", &last.to_string());
    play.describe("by expression", "r");
    play.beat(
        "no expression any more",
        &ConsumerGroupHeartbeatRequest {
            subscribed_topic_regex: Some(Text::default()),
            ..plain("r", "a", last)
        },
    );
    play.describe("without expression", "r");
    let nothing = ConsumerGroupHeartbeatRequest {
        subscribed_topic_regex: Some(Text::from("x[0-9]+")),
        ..join("r0", "a", &["apples"])
    };
    play.beat("an expression for nothing, and a name", &nothing);
}

fn assignors(play: &mut Play) {
    for assignor in ["range", "uniform"] {
        let group = format!("by-{assignor}");
        let with = |request: ConsumerGroupHeartbeatRequest| ConsumerGroupHeartbeatRequest {
            server_assignor: Some(Text::from(assignor)),
            ..request
        };
        let first: &[&str] = if assignor == "range" {
            &["apples", "pears"]
        } else {
            &["apples"]
        };
        play.beat("assignor, first", &with(join(&group, "a", first)));
        // For unlike wishes `uniform` has no single answer.
        let (second, third): (&[&str], &[&str]) = match assignor {
            "range" => (&["apples"], &["pears"]),
            _ => (&["apples"], &[]),
        };
        play.beat("assignor, second", &with(join(&group, "b", second)));
        play.beat("assignor, third", &with(join(&group, "c", third)));
        play.describe(assignor, &group);
    }
}

fn topics(play: &mut Play) {
    let (epoch, _) = play.beat("wants what is not there", &join("t", "a", &["plums"]));
    play.describe("waits for it", "t");
    play.topic("plums", 3);
    let last = harness::eventually("the new topic", || {
        let answer = play.raw.ask(1, &plain("t", "a", epoch));
        match answer.member_epoch {
            now if now == epoch => Err(now),
            now => Ok(now),
        }
    });
    play.note("epoch with the topic", &last.to_string());
    play.describe("has it", "t");
    let request = ConsumerGroupHeartbeatRequest {
        member_epoch: last,
        ..join("t", "b", &["plums"])
    };
    play.beat("a stranger that says all", &request);
    migration::leave(
        play,
        "a consumer leaves as a classic member",
        "t",
        "a",
        None,
    );
    play.describe("nobody", "t");
}
