//! POSIX extended regular expressions, as far as a yes or no about a name needs them.
//!
//! A node maps the set of places where a match may stand to the set where it may stand behind the
//! node: no backtracking, so no expression takes exponential time.

use std::collections::BTreeSet;

/// A parsed expression.
pub struct Pattern(Node);

enum Node {
    Char(char),
    Any,
    Set {
        negated: bool,
        items: Vec<Item>,
    },
    LineStart,
    LineEnd,
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: Option<u32>,
    },
}

enum Item {
    Range(char, char),
    Class(fn(char) -> bool),
}

/// The largest count in braces, POSIX's RE_DUP_MAX.
const MOST_REPEATS: u32 = 255;
/// Parentheses deeper than this are no filter for names.
const MOST_DEPTH: u32 = 50;

impl Pattern {
    /// Reads an expression; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let mut parser = Parser {
            chars: text.chars().collect(),
            at: 0,
            depth: 0,
        };
        let node = parser.either().and_then(|node| match parser.peek() {
            None => Ok(node),
            Some(_) => Err("a closing parenthesis without an opening one"),
        });
        match node {
            Ok(node) => Ok(Pattern(node)),
            Err(what) => Err(format!("the regular expression {text:?} has {what}")),
        }
    }

    /// Whether the expression matches anywhere in `name`.
    pub fn is_in(&self, name: &str) -> bool {
        let chars: Vec<char> = name.chars().collect();
        let anywhere: Places = (0..=chars.len()).collect();
        !self.0.behind(&chars, &anywhere).is_empty()
    }
}

type Places = BTreeSet<usize>;

impl Node {
    fn behind(&self, text: &[char], places: &Places) -> Places {
        let one = |matches: &dyn Fn(char) -> bool| -> Places {
            let matching = |at: &&usize| text.get(**at).is_some_and(|c| matches(*c));
            places.iter().filter(matching).map(|at| at + 1).collect()
        };
        match self {
            Node::Char(wanted) => one(&|c| c == *wanted),
            Node::Any => one(&|_| true),
            Node::Set { negated, items } => {
                one(&|c| items.iter().any(|item| item.has(c)) != *negated)
            }
            Node::LineStart => places.iter().copied().filter(|at| *at == 0).collect(),
            Node::LineEnd => places
                .iter()
                .copied()
                .filter(|at| *at == text.len())
                .collect(),
            Node::Sequence(nodes) => nodes
                .iter()
                .fold(places.clone(), |places, node| node.behind(text, &places)),
            Node::Either(nodes) => nodes
                .iter()
                .flat_map(|node| node.behind(text, places))
                .collect(),
            Node::Repeat { node, least, most } => repeat(node, *least, *most, text, places),
        }
    }
}

fn repeat(node: &Node, least: u32, most: Option<u32>, text: &[char], places: &Places) -> Places {
    let mut current = places.clone();
    for _ in 0..least {
        current = node.behind(text, &current);
    }
    let mut reached = current.clone();
    let mut left = most.map(|most| most.saturating_sub(least));
    // Ends when a round brings no new place, at the latest after one round per character.
    while left != Some(0) {
        let next = node.behind(text, &current);
        current = next.difference(&reached).copied().collect();
        if current.is_empty() {
            break;
        }
        reached.extend(&current);
        left = left.map(|left| left - 1);
    }
    reached
}

impl Item {
    fn has(&self, c: char) -> bool {
        match self {
            Item::Range(first, last) => (*first..=*last).contains(&c),
            Item::Class(is_in) => is_in(c),
        }
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: u32,
}

type Parsed = Result<Node, &'static str>;

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self) -> Parsed {
        let mut nodes = vec![self.sequence()?];
        while self.take('|') {
            nodes.push(self.sequence()?);
        }
        Ok(Node::Either(nodes))
    }

    fn sequence(&mut self) -> Parsed {
        let mut nodes = Vec::new();
        while let Some(c) = self.peek() {
            if c == '|' || c == ')' {
                break;
            }
            let node = self.atom()?;
            nodes.push(self.repeated(node)?);
        }
        Ok(Node::Sequence(nodes))
    }

    fn atom(&mut self) -> Parsed {
        match self.next() {
            Some('(') => self.group(),
            Some('[') => self.set(),
            Some('.') => Ok(Node::Any),
            Some('^') => Ok(Node::LineStart),
            Some('$') => Ok(Node::LineEnd),
            Some('*' | '+' | '?') => Err("nothing before a *, + or ?"),
            Some('\\') => self.next().map(Node::Char).ok_or("a backslash at its end"),
            Some(c) => Ok(Node::Char(c)),
            None => Ok(Node::Sequence(Vec::new())),
        }
    }

    fn group(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err("too many parentheses inside each other");
        }
        let node = self.either()?;
        self.depth -= 1;
        if self.take(')') {
            Ok(node)
        } else {
            Err("an opening parenthesis without a closing one")
        }
    }

    fn repeated(&mut self, mut node: Node) -> Parsed {
        loop {
            let (least, most) = match self.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                // A brace that begins no count stands for itself.
                Some('{')
                    if self
                        .chars
                        .get(self.at + 1)
                        .is_some_and(char::is_ascii_digit) =>
                {
                    self.counts()?
                }
                _ => return Ok(node),
            };
            self.at += 1;
            node = Node::Repeat {
                node: Box::new(node),
                least,
                most,
            };
        }
    }

    /// `{2}`, `{2,}` or `{2,3}`, up to the closing brace.
    fn counts(&mut self) -> Result<(u32, Option<u32>), &'static str> {
        const BAD: &str = "a count in braces that is not {N}, {N,} or {N,M} up to 255";
        self.at += 1;
        let least = self.count().ok_or(BAD)?;
        let most = if self.take(',') {
            self.count()
        } else {
            Some(least)
        };
        let ordered = most.is_none_or(|most| least <= most && most <= MOST_REPEATS);
        if self.peek() == Some('}') && ordered && least <= MOST_REPEATS {
            Ok((least, most))
        } else {
            Err(BAD)
        }
    }

    fn count(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.at += 1;
            number = Some(
                number
                    .unwrap_or(0u32)
                    .saturating_mul(10)
                    .saturating_add(digit),
            );
        }
        number
    }

    fn set(&mut self) -> Parsed {
        const OPEN: &str = "an opening bracket without a closing one";
        let negated = self.take('^');
        let mut items = Vec::new();
        // A closing bracket in the first place is one of the characters.
        while items.is_empty() || self.peek() != Some(']') {
            let first = self.next().ok_or(OPEN)?;
            if first == '[' && self.take(':') {
                items.push(Item::Class(self.class()?));
                continue;
            }
            let is_range = self.peek() == Some('-')
                && !matches!(self.chars.get(self.at + 1), None | Some(']'));
            let last = if is_range {
                self.at += 1;
                self.next().ok_or(OPEN)?
            } else {
                first
            };
            if last < first {
                return Err("a range in brackets that ends before it begins");
            }
            items.push(Item::Range(first, last));
        }
        self.at += 1;
        Ok(Node::Set { negated, items })
    }

    fn class(&mut self) -> Result<fn(char) -> bool, &'static str> {
        let rest = &self.chars[self.at..];
        let length = rest.iter().take_while(|c| c.is_ascii_alphabetic()).count();
        let name: String = rest[..length].iter().collect();
        self.at += length;
        if !(self.take(':') && self.take(']')) {
            return Err("a class in brackets that is not of the form [:NAME:]");
        }
        Ok(match name.as_str() {
            "alpha" => char::is_alphabetic,
            "digit" => |c| c.is_ascii_digit(),
            "alnum" => char::is_alphanumeric,
            "lower" => char::is_lowercase,
            "upper" => char::is_uppercase,
            "space" => char::is_whitespace,
            "blank" => |c| c == ' ' || c == '\t',
            "punct" => |c| c.is_ascii_punctuation(),
            "print" => |c| !c.is_control(),
            "graph" => |c| !c.is_control() && c != ' ',
            "cntrl" => char::is_control,
            "xdigit" => |c| c.is_ascii_hexdigit(),
            _ => return Err("an unknown class in brackets"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", "c1", true)]
    #[case("web", "my-web-1", true)]
    #[case("^web", "my-web-1", false)]
    #[case("1$", "web-1", true)]
    #[case("^web-[0-9]+$", "web-12", true)]
    #[case("^web-[0-9]+$", "web-", false)]
    #[case("^(web|db)-?1*$", "db11", true)]
    #[case("^(web|db)$", "webdb", false)]
    #[case("^[^a-c]$", "b", false)]
    #[case("^[^a-c]$", "d", true)]
    #[case("^[]x-]+$", "]-x", true)]
    #[case("^[[:alpha:]_]+$", "a_b", true)]
    #[case("^[[:alpha:]]$", "1", false)]
    #[case("^a{2,3}$", "aa", true)]
    #[case("^a{2,3}$", "aaaa", false)]
    #[case("^a{2,}$", "aaaa", true)]
    #[case("^a{0}b$", "b", true)]
    #[case("a\\.b", "a.b", true)]
    #[case("a\\.b", "axb", false)]
    #[case("a{b", "a{b", true)]
    #[case("^(a*)*$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false)]
    #[case("^(|x)$", "", true)]
    #[case("^.$", "é", true)]
    fn matches(#[case] regex: &str, #[case] name: &str, #[case] found: bool) {
        assert_eq!(Pattern::parse(regex).unwrap().is_in(name), found);
    }

    #[rstest]
    #[case("*")]
    #[case("a|*")]
    #[case("(a")]
    #[case("a)")]
    #[case("[a")]
    #[case("[")]
    #[case("[z-a]")]
    #[case("[[:nope:]]")]
    #[case("[[:alpha]")]
    #[case("a{3,2}")]
    #[case("a{999}")]
    #[case("a{1")]
    #[case("a\\")]
    fn refused(#[case] regex: &str) {
        assert!(Pattern::parse(regex).is_err());
    }

    #[test]
    fn deep_nesting_is_refused_not_overflowing() {
        assert!(Pattern::parse(&"(".repeat(100_000)).is_err());
    }
}
