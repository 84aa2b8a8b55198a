//! Plays a history on both brokers, step by step, and makes one that differs small.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use super::draw::{About, Random, draw, last_looks};
use super::line::Line;
use super::model::Model;
use super::side::{LINES, Side};
use super::step::{Pid, Step, Who};
use super::told::Told;
use super::{LONGER, ask, ask_transactions};

/// How long both have to be quiet until what is not answered is taken to wait.
pub(super) const QUICK: Duration = Duration::from_millis(8);
/// How long one may take to follow the other.
const FOLLOW: Duration = Duration::from_secs(2);
/// How long an answer that need not wait may take.
const LATE: Duration = Duration::from_secs(15);
const REBALANCE_IN_PROGRESS: i16 = 27;

/// Where steps come from.
pub(super) enum Source<'a> {
    Drawn(&'a mut Random, About, usize),
    Given(&'a [Step]),
}

/// A history that was played, up to where the brokers differed.
pub(super) struct Played {
    pub(super) steps: Vec<Step>,
    pub(super) lines: Vec<String>,
    pub(super) difference: Option<String>,
}

/// Kafka, then Logway.
pub(super) struct Pair {
    addresses: [String; 2],
    sides: [Side; 2],
    sequence: usize,
}

struct Game {
    model: Model,
    steps: Vec<Step>,
    lines: Vec<String>,
    /// The step that each connection waits with.
    waiting: HashMap<usize, usize>,
}

impl Pair {
    pub(super) fn open(addresses: [String; 2], run: usize) -> Pair {
        let sides = [0, 1].map(|at: usize| Side::open(&addresses[at], run));
        Pair {
            addresses,
            sides,
            sequence: 0,
        }
    }

    /// Plays one history under fresh names.
    pub(super) fn play(&mut self, mut source: Source<'_>, quiet: Duration) -> Played {
        self.sequence += 1;
        for (side, address) in self.sides.iter_mut().zip(&self.addresses) {
            side.begin(address, self.sequence);
        }
        let mut game = Game {
            model: Model::default(),
            steps: Vec::new(),
            lines: Vec::new(),
            waiting: HashMap::new(),
        };
        let looks = last_looks();
        let mut difference = None;
        for nth in 0.. {
            let step = match &mut source {
                Source::Drawn(random, about, length) if nth < *length => {
                    draw(random, *about, &game.model)
                }
                Source::Drawn(_, _, length) => match looks.get(nth - *length) {
                    Some(look) => look.clone(),
                    None => break,
                },
                Source::Given(steps) => match steps.get(nth) {
                    Some(step) => step.clone(),
                    None => break,
                },
            };
            difference = self.step(&mut game, step, quiet);
            let full = game.waiting.len() == LINES;
            if difference.is_some() || full {
                break;
            }
        }
        Played {
            steps: game.steps,
            lines: game.lines,
            difference,
        }
    }

    /// One step on both; what was different.
    fn step(&mut self, game: &mut Game, step: Step, quiet: Duration) -> Option<String> {
        let free = (0..LINES).find(|at| !game.waiting.contains_key(at));
        let at = free.expect("a free connection");
        let settles = step.ends_transactions();
        for side in &mut self.sides {
            if !ask::send(side, at, &step) {
                ask_transactions::send(side, at, &step);
            }
        }
        game.steps.push(step);
        game.waiting.insert(at, game.steps.len() - 1);
        let difference = self.collect(game, quiet);
        if settles && difference.is_none() {
            self.sides.iter_mut().for_each(Side::settle);
        }
        difference
    }

    /// Takes answers until both have answered the same requests and nothing more comes.
    fn collect(&mut self, game: &mut Game, quiet: Duration) -> Option<String> {
        let mut told: [HashMap<usize, Told>; 2] = [HashMap::new(), HashMap::new()];
        let began = Instant::now();
        let mut last = Instant::now();
        let newest = game.steps.len() - 1;
        loop {
            for (side, told) in self.sides.iter_mut().zip(&mut told) {
                for (at, line) in side.lines.iter_mut().enumerate() {
                    if let Some(found) = line.look() {
                        told.insert(at, found);
                        last = Instant::now();
                    }
                }
            }
            self.let_go(game, &mut told);
            let same =
                told[0].len() == told[1].len() && told[0].keys().all(|at| told[1].contains_key(at));
            let waits = game.waiting.len() - told[0].len();
            let answered = game.waiting.iter().all(|(at, nth)| {
                *nth != newest || game.steps[*nth].may_wait() || told[0].contains_key(at)
            });
            if same && waits == 0 {
                break;
            }
            if same && answered && last.elapsed() > quiet && self.groups_agree() {
                break;
            }
            if began.elapsed() > if answered { FOLLOW } else { LATE } {
                let of = |told: &HashMap<usize, Told>| {
                    let mut all: Vec<String> = told
                        .iter()
                        .map(|(at, told)| format!("{}: {}", game.waiting[at], told.text))
                        .collect();
                    all.sort();
                    all.join(" | ")
                };
                return Some(format!(
                    "answered at step {newest}\n kafka:  {}\n logway: {}\n groups {:?}",
                    of(&told[0]),
                    of(&told[1]),
                    self.groups()
                ));
            }
        }
        self.compare(game, told)
    }

    /// A member that asks twice: Logway sends the first question away, Kafka never answers it.
    fn let_go(&mut self, game: &mut Game, told: &mut [HashMap<usize, Told>; 2]) {
        let [theirs, ours] = told;
        let newest = game.steps.len() - 1;
        let twice: Vec<usize> = ours
            .iter()
            .filter(|(at, told)| {
                told.error == REBALANCE_IN_PROGRESS
                    && game.waiting[*at] != newest
                    && !theirs.contains_key(*at)
            })
            .map(|(at, _)| *at)
            .collect();
        for at in twice {
            // Kafka may only be later: then it has answered by the next look at both.
            if self.sides[0].lines[at].look().is_none() {
                ours.remove(&at);
                game.waiting.remove(&at);
                self.sides[0].lines[at] = Line::open(&self.addresses[0]);
            }
        }
    }

    fn groups(&mut self) -> [Vec<String>; 2] {
        [0, 1].map(|at: usize| [0, 1].map(|nth| self.sides[at].look_at_group(nth)).to_vec())
    }

    fn groups_agree(&mut self) -> bool {
        let [one, other] = self.groups();
        one == other
    }

    fn compare(&mut self, game: &mut Game, mut told: [HashMap<usize, Told>; 2]) -> Option<String> {
        let mut lines: Vec<usize> = told[0].keys().copied().collect();
        // In the order in which they were asked: ids are named by it.
        lines.sort_by_key(|at| game.waiting[at]);
        let mut difference = None;
        for at in lines {
            let nth = game.waiting.remove(&at).unwrap_or(0);
            let step = game.steps[nth].clone();
            let mut of = |which: usize| {
                let answer = told[which].remove(&at).unwrap_or_else(Told::closed);
                self.sides[which].take(&step, answer)
            };
            let (theirs, ours) = (of(0), of(1));
            game.lines
                .push(format!("{nth}: {step:?}\n      -> {}", theirs.text));
            if theirs.text != ours.text && difference.is_none() {
                difference = Some(format!(
                    "step {nth}: {step:?}\n kafka:  {}\n logway: {}",
                    theirs.text, ours.text
                ));
            }
            let ids = &self.sides[0].ids;
            let who = theirs.member.as_ref().and_then(|id| {
                let nth = ids.members.iter().position(|known| known == id);
                nth.map(Who::Nth)
            });
            let pid = theirs.pid.and_then(|id| {
                let nth = ids.pids.iter().position(|known| *known == id);
                nth.map(Pid::Nth)
            });
            game.model.drawn = ids.members.len();
            game.model.pids = ids.pids.len();
            game.model.learn(&step, &theirs, who, pid);
        }
        difference
    }

    /// Plays it again with more patience; if it still differs, what is left when everything is left
    /// out that does not matter.
    pub(super) fn explain(&mut self, steps: &[Step]) -> Option<String> {
        let mut least = self.differs(steps)?;
        let mut at = 0;
        while at < least.steps.len() {
            let mut fewer = least.steps.clone();
            fewer.remove(at);
            match self.differs(&fewer) {
                Some(played) => least = played,
                None => at += 1,
            }
        }
        let mut text = String::new();
        for line in &least.lines {
            writeln!(text, "  {line}").expect("a string");
        }
        writeln!(text, "  {}", least.difference.unwrap_or_default()).expect("a string");
        write!(text, "  steps: {:?}", least.steps).expect("a string");
        Some(text)
    }

    fn differs(&mut self, steps: &[Step]) -> Option<Played> {
        let played = self.play(Source::Given(steps), LONGER);
        played.difference.is_some().then_some(played)
    }
}
