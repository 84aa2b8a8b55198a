//! Random histories, and a fixed one that the power ends at every operation.

use proptest::prelude::*;

use super::histories::{End, Step, run};

const PRODUCERS: i64 = 3;

fn step() -> impl Strategy<Value = Step> {
    let producer = || 0..PRODUCERS;
    let append = (producer(), any::<bool>());
    prop_oneof![
        12 => append.prop_map(|(producer, transactional)| Step::Append { producer, transactional }),
        6 => (producer(), any::<bool>()).prop_map(|(producer, committed)| Step::End { producer, committed }),
        1 => producer().prop_map(|producer| Step::Bump { producer }),
        2 => Just(Step::Checkpoint),
        1 => (0.0..1.0).prop_map(|part| Step::Truncate { part }),
        1 => (0.0..1.0).prop_map(|part| Step::DeleteBefore { part }),
        1 => (300..3000i64).prop_map(Step::KeepBytes),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        1 => Just(End::Clean),
        2 => Just(End::Kill),
        4 => (0..150u64, any::<u64>()).prop_map(|(halt_at, seed)| End::PowerFailure { halt_at, seed }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_a_restart_brings_back_is_what_was_kept(
        lives in prop::collection::vec((prop::collection::vec(step(), 1..40), end()), 1..5),
    ) {
        run(&lives);
    }
}

/// Segments begin and go, transactions are aborted across them, checkpoints and truncations come in
/// between: whatever of that a power failure keeps.
#[test]
fn no_power_failure_makes_an_aborted_record_a_committed_one() {
    let append = |producer, transactional| Step::Append {
        producer,
        transactional,
    };
    let end = |producer, committed| Step::End {
        producer,
        committed,
    };
    let round = [
        append(0, true),
        append(1, true),
        append(2, false),
        end(0, false),
        end(1, true),
    ];
    let changes = [
        vec![Step::Checkpoint, append(1, true)],
        vec![
            Step::DeleteBefore { part: 0.7 },
            append(0, true),
            end(0, false),
        ],
        vec![
            Step::Truncate { part: 0.8 },
            append(1, true),
            Step::Checkpoint,
        ],
        vec![end(1, false), Step::KeepBytes(900)],
    ];
    let steps: Vec<Step> = changes
        .iter()
        .flat_map(|change| round.iter().chain(change))
        .cloned()
        .collect();
    for halt_at in 0..=110 {
        for seed in 0..12 {
            let power = End::PowerFailure { halt_at, seed };
            run(&[(steps.clone(), power), (steps.clone(), End::Kill)]);
        }
    }
}
