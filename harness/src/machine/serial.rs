//! What the machine's kernel and its agent printed on the serial console.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Lines kept of the end.
const LINES: usize = 20;

/// Bytes read of the end: 20 long lines, and far enough back for a panic's first line, above its
/// registers and call trace.
const BYTES: u64 = 64 << 10;

/// The end of a machine's serial console.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Serial {
    lines: Vec<String>,
}

impl Serial {
    /// Reads the end of the log; a log that cannot be read is an empty one.
    pub(super) fn read(path: &Path) -> Serial {
        let mut bytes = Vec::new();
        let mut read = || -> std::io::Result<()> {
            let mut file = File::open(path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
            file.take(BYTES).read_to_end(&mut bytes).map(drop)
        };
        match read() {
            Ok(()) => Serial::parse(&bytes),
            Err(_) => Serial::default(),
        }
    }

    fn parse(bytes: &[u8]) -> Serial {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.split(['\n', '\r']).map(printable);
        Serial {
            lines: lines.filter(|line| !line.is_empty()).collect(),
        }
    }

    /// The last lines that say something.
    pub(super) fn tail(&self) -> Vec<String> {
        self.lines[self.lines.len().saturating_sub(LINES)..].to_vec()
    }

    /// What the kernel gave as the reason of its panic.
    pub(super) fn panic(&self) -> Option<&str> {
        // The line comes twice, the second time as "end Kernel panic"; the first is plain.
        self.lines.iter().find_map(|line| {
            let (_, reason) = line.split_once("Kernel panic")?;
            let reason = reason.trim_start_matches(" - not syncing").trim_start();
            Some(reason.trim_start_matches([':', ' ', '-']))
        })
    }

    /// The agent's last words, had it any: it prints them before it powers the machine off.
    pub(super) fn last_words(&self) -> Option<&str> {
        self.lines
            .iter()
            .rev()
            .find_map(|line| line.strip_prefix("guest-agent: "))
    }
}

/// A line without escape sequences and control characters, and without blanks at its end.
fn printable(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            '\t' => kept.push(' '),
            character if character.is_control() => {}
            character => kept.push(character),
        }
    }
    kept.truncate(kept.trim_end().len());
    kept
}

/// Skips what follows an escape: `[`, parameters, one final letter; or a single character.
fn skip_escape(characters: &mut std::str::Chars) {
    if characters.next() == Some('[') {
        characters.find(|character| ('@'..='~').contains(character));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_lines_that_say_something() {
        let mut text: Vec<u8> = (0..30)
            .flat_map(|n| format!("line {n}\r\n\r\n").into_bytes())
            .collect();
        text.extend(b"\x1b[1;31mred\x1b[0m\0\0 \x1bcand\tplain  \n \xff");
        let tail = Serial::parse(&text).tail();
        assert_eq!(tail.len(), LINES);
        assert_eq!(tail[LINES - 2], "red and plain");
        assert_eq!(tail[LINES - 1], " \u{fffd}");
        assert_eq!(tail[0], "line 12");
    }

    #[test]
    fn an_escape_cut_short_ends_the_line() {
        for text in ["ok\x1b", "ok\x1b[", "ok\x1b[1;3"] {
            assert_eq!(Serial::parse(text.as_bytes()).tail(), ["ok"]);
        }
        assert!(Serial::parse(b"\r\n\0\0\n").tail().is_empty());
    }

    #[test]
    fn a_panic_is_found_above_its_trace() {
        for (line, reason) in [
            (
                "[    4.2] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000b00",
                "Attempted to kill init! exitcode=0x00000b00",
            ),
            ("Kernel panic: out of memory", "out of memory"),
            ("Kernel panic", ""),
        ] {
            let text = format!(
                "noise\n{line}\n{}---[ end Kernel panic - not syncing: other ]---\n",
                "[    4.3]  ? call+0x1\n".repeat(LINES)
            );
            assert_eq!(Serial::parse(text.as_bytes()).panic(), Some(reason));
        }
        assert_eq!(Serial::parse(b"all is well\n").panic(), None);
    }

    #[test]
    fn the_agents_last_words_are_its_own() {
        let text =
            b"guest-agent: first\nguest-agent: cannot mount /proc: EPERM\nreboot: Power down\n";
        let serial = Serial::parse(text);
        assert_eq!(serial.last_words(), Some("cannot mount /proc: EPERM"));
        assert_eq!(
            Serial::parse(b"a guest-agent: is no line of it").last_words(),
            None
        );
    }

    #[test]
    fn a_log_that_is_not_there_is_empty() {
        assert_eq!(
            Serial::read(Path::new("/nowhere/serial")),
            Serial::default()
        );
    }

    #[test]
    fn of_a_long_log_the_end_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serial");
        std::fs::write(&path, "x\n".repeat(BYTES as usize) + "the end").unwrap();
        let serial = Serial::read(&path);
        assert_eq!(serial.tail().last().unwrap(), "the end");
        assert!(serial.lines.len() <= BYTES as usize / 2);
    }
}
