//! Transcripts of command lines: what was typed, what came out.
//!
//! Invariant: a line that is not understood is an error, so that nothing is left out unseen.

/// One command with everything it said.
#[derive(Debug, Default, Clone)]
pub(crate) struct Step {
    /// The command line, as for a shell.
    pub(crate) command: String,
    /// What it read.
    pub(crate) stdin: String,
    /// What it wrote to standard output.
    pub(crate) stdout: String,
    /// What it wrote to standard error.
    pub(crate) stderr: String,
    /// Its exit code; nothing where it was ended from outside.
    pub(crate) exit: Option<i32>,
    /// Comment lines before it, without the `# `.
    pub(crate) notes: Vec<String>,
}

enum Part {
    Between,
    Stdin,
    Stdout,
    Stderr,
}

/// All commands of a transcript.
pub(crate) fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut notes = Vec::new();
    let mut part = Part::Between;
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                command: command.to_owned(),
                notes: std::mem::take(&mut notes),
                ..Step::default()
            });
            part = Part::Between;
            continue;
        }
        // A quoted word may go over a line's end.
        if let Some(step) = steps.last_mut()
            && step.command.matches('"').count() % 2 == 1
        {
            step.command.push('\n');
            step.command.push_str(line);
            continue;
        }
        if matches!(part, Part::Between) && !line.starts_with("--- ") {
            if let Some(note) = line.strip_prefix("# ") {
                notes.push(note.to_owned());
            } else {
                assert!(line.is_empty() || line == "#", "unknown line `{line}`");
            }
            continue;
        }
        let Some(step) = steps.last_mut() else {
            panic!("`{line}` before any command");
        };
        match line {
            "--- stdin" => part = Part::Stdin,
            "--- stdout" => part = Part::Stdout,
            "--- stderr" => part = Part::Stderr,
            _ if line.starts_with("--- exit ") => {
                step.exit = line.trim_start_matches("--- exit ").parse().ok();
                part = Part::Between;
            }
            _ if line.starts_with("--- ") => part = Part::Between,
            line => {
                let to = match part {
                    Part::Stdin => &mut step.stdin,
                    Part::Stdout => &mut step.stdout,
                    Part::Stderr | Part::Between => &mut step.stderr,
                };
                if line == "\\ no newline at the end" {
                    to.pop();
                } else {
                    to.push_str(line);
                    to.push('\n');
                }
            }
        }
    }
    steps
}

/// Files that the notes before a command describe: name and content.
pub(crate) fn files(notes: &[String]) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for note in notes {
        let name = note.strip_prefix("file ").and_then(|n| n.strip_suffix(':'));
        if let Some(name) = name {
            files.push((name.to_owned(), String::new()));
        } else if let (Some(line), Some((_, content))) = (note.strip_prefix("  "), files.last_mut())
        {
            content.push_str(line);
            content.push('\n');
        }
    }
    files
}

/// The words of a command line; quotes keep words together.
pub(crate) fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut begun) = (None, false);
    for c in command.chars() {
        match c {
            '"' | '\'' if quoted == Some(c) => quoted = None,
            '"' | '\'' if quoted.is_none() => (quoted, begun) = (Some(c), true),
            ' ' if quoted.is_none() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}
