//! How far long work is, drawn on the terminal.
//!
//! Invariant: only where standard error is a terminal, and never between results: where those go to
//! the same terminal, the bar steps aside for them or is not drawn at all.

use std::fmt::Write;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Records.
    Records,
    /// Partitions.
    Partitions,
    /// Bytes of a file.
    Bytes,
}

impl Unit {
    fn template(self) -> &'static str {
        match self {
            Self::Records => "{bar:30} {percent:>3}%  {pos}/{len} records, {rate}, {eta} left",
            Self::Partitions => "{bar:30} {percent:>3}%  {pos}/{len} partitions, {eta} left",
            Self::Bytes => {
                "{bar:30} {percent:>3}%  {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left"
            }
        }
    }
}

/// A bar that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Nothing is drawn.
    pub(crate) fn hidden() -> Self {
        Self::on(ProgressDrawTarget::hidden(), Unit::Records)
    }

    /// A bar on standard error, if that is a terminal; results must step [`aside`](Self::aside).
    pub(crate) fn beside_results(total: u64, unit: Unit) -> Self {
        let progress = Self::on(ProgressDrawTarget::stderr(), unit);
        progress.bar.set_length(total);
        progress
    }

    /// A bar on standard error, if that is a terminal and results go elsewhere. The total may be
    /// told later.
    pub(crate) fn without_results(total: Option<u64>, unit: Unit) -> Self {
        if std::io::stdout().is_terminal() {
            return Self::hidden();
        }
        let progress = Self::on(ProgressDrawTarget::stderr(), unit);
        if let Some(total) = total {
            progress.bar.set_length(total);
        }
        progress
    }

    fn on(target: ProgressDrawTarget, unit: Unit) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        // A template that cannot be read leaves the crate's own.
        if let Ok(style) = ProgressStyle::with_template(unit.template()) {
            let rate = |state: &ProgressState, to: &mut dyn Write| {
                // There is nobody to tell that a bar cannot be drawn.
                let _drawn = write!(to, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        Self { bar }
    }

    /// So much more is done.
    pub(crate) fn add(&self, done: u64) {
        self.bar.inc(done);
    }

    /// So much is done and so much is left.
    pub(crate) fn at(&self, done: u64, left: u64) {
        self.bar.set_length(done.saturating_add(left));
        self.bar.set_position(done);
    }

    /// Prints results with the bar out of the way.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// The bar goes.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    //! What a terminal shows.

    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::{Progress, Unit};

    /// A terminal that keeps what was written.
    #[derive(Debug, Default, Clone)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)?;
            self.write_str("\n")
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.write_str("<cleared>")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_bar_fills_and_goes() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255);
        let progress = Progress::on(target, Unit::Records);
        progress.at(0, 200);
        progress.at(50, 150);
        progress.bar.force_draw();
        let drawn = screen.0.lock().unwrap().clone();
        assert!(drawn.contains(" 25%  50/200 records, "), "{drawn}");
        progress.aside(|| screen.0.lock().unwrap().push_str("<result>"));
        let drawn = screen.0.lock().unwrap().clone();
        assert!(drawn.contains("<cleared><result>"), "{drawn}");
        drop(progress);
        assert!(screen.0.lock().unwrap().ends_with("<cleared>"), "{drawn}");
    }

    #[test]
    fn nothing_is_drawn_where_nobody_looks() {
        // The tests' standard error may be a terminal; a hidden bar is none.
        let progress = Progress::hidden();
        progress.at(0, 10);
        progress.add(3);
        assert!(progress.bar.is_hidden());
    }
}
