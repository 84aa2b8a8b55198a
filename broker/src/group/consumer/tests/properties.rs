//! Random members against one group of the consumer protocol: they lie, die, rejoin, speak the classic
//! protocol, while topics come and go and writes fail. KIP-848's promises hold at every step: no
//! partition has two owners, epochs only grow, a target is legal; and when the noise ends, every
//! member has what the target says, and the records rebuild the group.

use proptest::prelude::*;

use super::world::World;
use crate::group::consumer::OwnSettings;

pub(super) const CLIENTS: usize = 5;

#[derive(Debug, Clone)]
pub(super) enum Act {
    Beat {
        client: usize,
        wants: u8,
    },
    /// A heartbeat whose epoch or possessions are made up.
    Lie {
        client: usize,
        epoch: i32,
        holds: bool,
    },
    Leave {
        client: usize,
        away: bool,
    },
    /// The process dies and starts anew, under another id.
    Die {
        client: usize,
    },
    /// The answers to come do not arrive.
    Deaf {
        client: usize,
        deaf: bool,
    },
    Topics {
        sizes: [i32; 3],
    },
    /// The group is given settings of its own, within its bounds or not.
    Settings {
        own: OwnSettings,
    },
    WriteEnds {
        well: bool,
    },
    Pass {
        ms: u64,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let client = 0..CLIENTS;
    prop_oneof![
        12 => (client.clone(), 0..8u8).prop_map(|(client, wants)| Act::Beat { client, wants }),
        1 => (client.clone(), -1..9i32, any::<bool>()).prop_map(|(client, epoch, holds)| Act::Lie { client, epoch, holds }),
        1 => (client.clone(), any::<bool>()).prop_map(|(client, away)| Act::Leave { client, away }),
        1 => client.clone().prop_map(|client| Act::Die { client }),
        1 => (client, any::<bool>()).prop_map(|(client, deaf)| Act::Deaf { client, deaf }),
        1 => [0..4i32, 0..4i32, 0..4i32].prop_map(|sizes| Act::Topics { sizes }),
        1 => own().prop_map(|own| Act::Settings { own }),
        10 => (0..12u8).prop_map(|dice| Act::WriteEnds { well: dice != 0 }),
        3 => prop_oneof![0..500u64, 500..20_000u64, 20_000..70_000u64].prop_map(|ms| Act::Pass { ms }),
    ]
}

fn own() -> impl Strategy<Value = OwnSettings> {
    let ms = || prop::option::of(prop_oneof![0..20_000i32, 1..=i32::MAX]);
    (ms(), ms(), ms()).prop_map(|(session, heartbeat, assignment)| OwnSettings {
        session_timeout_ms: session,
        heartbeat_interval_ms: heartbeat,
        assignment_interval_ms: assignment.map(|ms| ms % 1_000),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_members_never_break_the_protocol(acts in prop::collection::vec(act(), 1..150)) {
        let mut world = World::new();
        for act in &acts {
            if world.ended {
                break;
            }
            world.take(act);
        }
        if !world.ended {
            world.settle();
        }
        if !world.ended {
            prop_assert!(world.waiters.is_empty(), "everyone is answered");
        }
    }
}
