//! Options as rows of a table, and the words of a command line matched against them.
//!
//! The matching is that of GNU getopt_long: short clusters, options after positional words, long
//! options abbreviated as long as that is unambiguous, optional arguments only glued to their
//! option. clap has no such permutation and no glued-only arguments for short options.

use std::fmt::Write;

/// One option: its names, what it takes, what it does, what the help says.
pub struct Opt<T: 'static> {
    /// The long name without dashes.
    pub long: &'static str,
    /// The short name.
    pub short: Short,
    /// What giving the option does.
    pub effect: Effect<T>,
    /// The help text; line breaks are kept.
    pub help: &'static str,
}

/// The short name of an option.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// There is only the long name.
    None,
    /// `-x`, shown in the help.
    Listed(char),
    /// `-x`, understood and shown by `--usage` only: an accident of LXC's option codes.
    Unlisted(char),
}

/// What an option takes and does with it.
pub enum Effect<T> {
    /// Takes nothing.
    Flag(fn(&mut T)),
    /// Takes a value: its name in the help, and the setter. The setter's error says what is wrong
    /// with the value.
    Value(&'static str, fn(&mut T, &str) -> Result<(), String>),
    /// Takes a value only when that is glued to the option.
    Optional(&'static str, fn(&mut T, Option<&str>) -> Result<(), String>),
    /// An option of LXC whose machinery is not there: what it takes, and what is not implemented.
    Later(Takes, &'static str),
    /// Ends the program with a text.
    Text(Text),
}

/// The texts that an option can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Text {
    /// The help, exit status 0.
    Help,
    /// The help, exit status 1.
    HelpAsError,
    /// The generated list of options.
    Usage,
    /// The version.
    Version,
}

/// Whether an option takes a value, and the value's name in the help.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// No value.
    Nothing,
    /// A value, glued or as the next word.
    Value(&'static str),
    /// A value, only glued.
    Optional(&'static str),
}

/// A row without its effect: all that matching and the texts need.
#[derive(Clone, Copy)]
pub struct Form {
    pub long: &'static str,
    pub short: Short,
    pub takes: Takes,
    pub help: &'static str,
    /// Whether the option is refused for now.
    pub later: bool,
}

impl<T> Opt<T> {
    /// The row without its effect.
    pub fn form(&self) -> Form {
        let takes = match self.effect {
            Effect::Flag(_) | Effect::Text(_) => Takes::Nothing,
            Effect::Value(value, _) => Takes::Value(value),
            Effect::Optional(value, _) => Takes::Optional(value),
            Effect::Later(takes, _) => takes,
        };
        let later = matches!(self.effect, Effect::Later(..));
        Form {
            long: self.long,
            short: self.short,
            takes,
            help: self.help,
            later,
        }
    }
}

impl Short {
    /// The character, listed or not.
    pub fn char(self) -> Option<char> {
        match self {
            Short::None => None,
            Short::Listed(c) | Short::Unlisted(c) => Some(c),
        }
    }
}

/// An option found on a command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Given {
    /// Which row of the table.
    pub row: usize,
    /// The value, if one was given.
    pub value: Option<String>,
}

/// A command line, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// The options in the order given, up to the first mistake.
    pub given: Vec<Given>,
    /// The words that are no options, in order.
    pub rest: Vec<String>,
    /// The first mistake, in getopt's words and without the program's name.
    pub mistake: Option<String>,
}

/// Matches `words` against the table; `stop_at_word` ends options at the first positional word
/// (POSIXLY_CORRECT) instead of permuting.
pub fn matched(forms: &[Form], words: Vec<String>, stop_at_word: bool) -> Matched {
    let mut found = Matched::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        let taken = if let Some(long) = word.strip_prefix("--") {
            match_long(forms, long, &mut words, &mut found.given)
        } else if let Some(cluster) = word.strip_prefix('-').filter(|c| !c.is_empty()) {
            match_cluster(forms, cluster, &mut words, &mut found.given)
        } else {
            found.rest.push(word);
            if stop_at_word {
                break;
            }
            Ok(())
        };
        if let Err(mistake) = taken {
            found.mistake = Some(mistake);
            return found;
        }
    }
    found.rest.extend(words);
    found
}

fn match_long(
    forms: &[Form],
    word: &str,
    words: &mut impl Iterator<Item = String>,
    given: &mut Vec<Given>,
) -> Result<(), String> {
    let (name, glued) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (word, None),
    };
    let row = find_long(forms, name)?;
    let long = forms[row].long;
    let value = match (forms[row].takes, glued) {
        (Takes::Nothing, Some(_)) => {
            return Err(format!("option '--{long}' doesn't allow an argument"));
        }
        (Takes::Value(_), None) => Some(
            words
                .next()
                .ok_or_else(|| format!("option '--{long}' requires an argument"))?,
        ),
        (_, glued) => glued,
    };
    given.push(Given { row, value });
    Ok(())
}

fn find_long(forms: &[Form], name: &str) -> Result<usize, String> {
    if let Some(row) = forms.iter().position(|form| form.long == name) {
        return Ok(row);
    }
    let mut candidates = forms
        .iter()
        .enumerate()
        .filter(|(_, form)| form.long.starts_with(name));
    let Some((row, first)) = candidates.next() else {
        return Err(format!("unrecognized option '--{name}'"));
    };
    let mut others = candidates
        .filter(|(_, form)| form.long != first.long)
        .peekable();
    if others.peek().is_none() {
        return Ok(row);
    }
    let mut text = format!(
        "option '--{name}' is ambiguous; possibilities: '--{}'",
        first.long
    );
    for (_, form) in others {
        let _ = write!(text, " '--{}'", form.long);
    }
    Err(text)
}

fn match_cluster(
    forms: &[Form],
    cluster: &str,
    words: &mut impl Iterator<Item = String>,
    given: &mut Vec<Given>,
) -> Result<(), String> {
    let mut letters = cluster.chars();
    while let Some(letter) = letters.next() {
        let row = forms
            .iter()
            .position(|form| form.short.char() == Some(letter))
            .ok_or_else(|| format!("invalid option -- '{letter}'"))?;
        let glued = Some(letters.as_str())
            .filter(|rest| !rest.is_empty())
            .map(str::to_owned);
        let value = match forms[row].takes {
            Takes::Nothing => {
                given.push(Given { row, value: None });
                continue;
            }
            Takes::Optional(_) => glued,
            Takes::Value(_) => Some(
                glued
                    .or_else(|| words.next())
                    .ok_or_else(|| format!("option requires an argument -- '{letter}'"))?,
            ),
        };
        given.push(Given { row, value });
        break;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const FORMS: [Form; 7] = [
        form("state", Short::Listed('s'), Takes::Nothing),
        form("stats", Short::Listed('S'), Takes::Nothing),
        form("config", Short::Listed('c'), Takes::Value("KEY")),
        form("elevated", Short::Listed('e'), Takes::Optional("PRIV")),
        form("rcfile", Short::Listed('f'), Takes::Value("FILE")),
        form("lvname", Short::Unlisted('0'), Takes::Value("LV")),
        form("rcfile", Short::None, Takes::Value("FILE")),
    ];

    const fn form(long: &'static str, short: Short, takes: Takes) -> Form {
        Form {
            long,
            short,
            takes,
            help: "",
            later: false,
        }
    }

    /// One line for what was understood: options, then `|`, then the rest, or the mistake.
    fn check(line: &str, stop_at_word: bool) -> String {
        let words = line.split_whitespace().map(str::to_owned).collect();
        let found = matched(&FORMS, words, stop_at_word);
        let given = found.given.iter().map(|given| match &given.value {
            Some(value) => format!("{}={value}", FORMS[given.row].long),
            None => FORMS[given.row].long.to_owned(),
        });
        let mut text: Vec<String> = given.collect();
        text.push("|".to_owned());
        text.extend(found.rest);
        text.extend(found.mistake.map(|mistake| format!("! {mistake}")));
        text.join(" ")
    }

    #[rstest]
    #[case::cluster("-sSc key", "state stats config=key |")]
    #[case::cluster_with_glued_value("-sckey", "state config=key |")]
    #[case::long_glued("--config=a=b", "config=a=b |")]
    #[case::long_next_word("--config -s", "config=-s |")]
    #[case::permuted("c1 -s ps -S", "state stats | c1 ps")]
    #[case::dashes_end("-s -- -S x", "state | -S x")]
    #[case::lone_dash_is_a_word("- -s", "state | -")]
    #[case::abbreviated("--conf=k", "config=k |")]
    #[case::exact_wins_over_prefix("--state", "state |")]
    #[case::same_name_twice_is_one("--rc x", "rcfile=x |")]
    #[case::optional_glued("-eCAP x", "elevated=CAP | x")]
    #[case::optional_not_next_word("-e CAP", "elevated | CAP")]
    #[case::optional_long("--elevated=CAP --elev", "elevated=CAP elevated |")]
    #[case::empty_value("--config=", "config= |")]
    #[case::digit("-0 lv", "lvname=lv |")]
    #[case::ambiguous(
        "--st",
        "| ! option '--st' is ambiguous; possibilities: '--state' '--stats'"
    )]
    #[case::unknown("-s --nope", "state | ! unrecognized option '--nope'")]
    #[case::unknown_short("-sz", "state | ! invalid option -- 'z'")]
    #[case::no_value("--config", "| ! option '--config' requires an argument")]
    #[case::no_short_value("-c", "| ! option requires an argument -- 'c'")]
    #[case::unwanted_value("--state=3", "| ! option '--state' doesn't allow an argument")]
    fn a_command_line(#[case] line: &str, #[case] understood: &str) {
        assert_eq!(check(line, false), understood);
    }

    #[test]
    fn posixly_correct_stops_at_the_first_word() {
        assert_eq!(check("-s c1 -S", true), "state | c1 -S");
    }
}
