//! The names that C headers declare. What they mean is asked of a compiler: see `headers`.

/// Names, each written so that a compiler can be asked about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Declarations {
    /// `struct x`, or the name of a typedef, with the paths of its members.
    pub structures: Vec<(String, Vec<String>)>,
    /// Members of enumerations.
    pub enumerators: Vec<String>,
    /// Functions.
    pub functions: Vec<String>,
    /// Names of types that are not structures.
    pub types: Vec<String>,
    /// Macros: name with parameters if it has some, and body.
    pub macros: Vec<(String, String)>,
}

/// Reads what `cc -E -dD` printed for the files below `folder`.
pub fn declared(preprocessed: &str, folder: &str) -> Declarations {
    let mut found = Declarations::default();
    let mut text = String::new();
    let mut inside = false;
    for line in preprocessed.lines() {
        if let Some(mark) = line.strip_prefix("# ") {
            let file = mark.split('"').nth(1).unwrap_or_default();
            inside = file.starts_with(folder);
        } else if !inside {
            continue;
        } else if let Some(definition) = line.strip_prefix("#define ") {
            found.macros.push(macro_of(definition));
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    for declaration in split(&tokens(&text), ";") {
        declare(&mut found, declaration);
    }
    found
}

fn macro_of(definition: &str) -> (String, String) {
    let is_end = |(at, c): &(usize, char)| match definition[..*at].contains('(') {
        true => definition[..*at].ends_with(')'),
        false => *c == ' ',
    };
    let end = definition.char_indices().find(is_end);
    let (name, body) = definition.split_at(end.map_or(definition.len(), |(at, _)| at));
    (name.to_owned(), body.trim().to_owned())
}

/// Words, strings, and single characters.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let end = match first {
            '"' => rest[1..].find('"').map_or(rest.len(), |at| at + 2),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        tokens.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    tokens
}

/// Parts between separators that stand in no bracket of any kind; empty parts are left out.
fn split<'a, 'b>(tokens: &'b [&'a str], separator: &str) -> Vec<&'b [&'a str]> {
    let mut parts = Vec::new();
    let (mut begin, mut depth) = (0, 0);
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            token if token == separator && depth == 0 => {
                parts.push(&tokens[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[begin..]);
    parts.retain(|part| !part.is_empty());
    parts
}

fn declare(found: &mut Declarations, tokens: &[&str]) {
    let is_typedef = tokens.contains(&"typedef");
    if let Some((head, body, behind)) = braces(tokens) {
        let keyword = |word: &&str| matches!(*word, "struct" | "union" | "enum");
        let Some(at) = head.iter().rposition(keyword) else {
            return;
        };
        if head[at] == "enum" {
            let names = split(body, ",").into_iter().filter_map(<[&str]>::first);
            found.enumerators.extend(names.map(ToString::to_string));
            return;
        }
        let name = match (head.get(at + 1), declarator(behind)) {
            (Some(tag), _) => format!("{} {tag}", head[at]),
            (None, Some(name)) => name,
            (None, None) => return,
        };
        found.structures.push((name, members(body)));
    } else if is_typedef {
        found.types.extend(declarator(tokens));
    } else if let Some(open) = tokens.iter().position(|token| *token == "(") {
        let name = open.checked_sub(1).and_then(|at| tokens.get(at));
        found.functions.extend(name.map(ToString::to_string));
    }
}

/// What stands before, in and behind the first braces.
#[allow(clippy::type_complexity)] // three slices of one
fn braces<'a, 'b>(tokens: &'b [&'a str]) -> Option<(&'b [&'a str], &'b [&'a str], &'b [&'a str])> {
    let open = tokens.iter().position(|token| *token == "{")?;
    let mut depth = 0;
    let close = tokens
        .iter()
        .enumerate()
        .skip(open)
        .find_map(|(at, token)| {
            depth += i32::from(*token == "{") - i32::from(*token == "}");
            (depth == 0).then_some(at)
        })?;
    Some((
        &tokens[..open],
        &tokens[open + 1..close],
        &tokens[close + 1..],
    ))
}

/// Paths of members, those of nested structures behind the name of theirs.
fn members(body: &[&str]) -> Vec<String> {
    let mut paths = Vec::new();
    for member in split(body, ";") {
        let Some((_, inner, behind)) = braces(member) else {
            let names = split(member, ",").into_iter().filter_map(declarator);
            paths.extend(names);
            continue;
        };
        let inner = members(inner).into_iter();
        match declarator(behind) {
            Some(name) => paths.extend(inner.map(|path| format!("{name}.{path}"))),
            None => paths.extend(inner),
        }
    }
    paths
}

/// The name that is declared: behind `(*`, else the last word in no bracket.
fn declarator(tokens: &[&str]) -> Option<String> {
    let is_name = |token: &&&str| token.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let pointer = tokens.windows(2).position(|pair| pair == ["(", "*"]);
    let name = match pointer {
        Some(at) => tokens[at..].iter().find(is_name),
        None => {
            let end = tokens.iter().position(|token| *token == "[");
            tokens[..end.unwrap_or(tokens.len())].iter().rfind(is_name)
        }
    };
    name.map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_for_their_names() {
        let text = "# 1 \"/usr/include/x.h\"\nint stranger(void);\n\
            # 1 \"/inc/lxc/a.h\" 1\n#define A_H\n#define SIX (3 + 3)\n#define MAX(a, b) ((a) > (b))\n#undef Q\n\
            struct s {\n char *name;\n int (*call)(struct s *s, int n);\n unsigned a, b[4];\n\
            struct { char *root; } zfs;\n union { int x; long y; };\n};\n\
            typedef struct { int q; } t;\ntypedef struct tag { int r; } u;\n\
            enum { ONE, TWO = 1 << 2 };\ntypedef enum e { RED = ONE } e;\n\
            typedef int (*fn)(void *p);\ntypedef unsigned long word;\n\
            extern struct s *make(const char *n, int (*f)(void));\n\
            # 9 \"/usr/include/y.h\" 2\n#define NO 1\n";
        let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let pair = |name: &str, body: &str| (name.to_owned(), body.to_owned());
        let found = declared(text, "/inc/lxc/");
        let wanted = Declarations {
            structures: vec![
                (
                    "struct s".to_owned(),
                    strings(&["name", "call", "a", "b", "zfs.root", "x", "y"]),
                ),
                ("t".to_owned(), strings(&["q"])),
                ("struct tag".to_owned(), strings(&["r"])),
            ],
            enumerators: strings(&["ONE", "TWO", "RED"]),
            functions: strings(&["make"]),
            types: strings(&["fn", "word"]),
            macros: vec![
                pair("A_H", ""),
                pair("SIX", "(3 + 3)"),
                pair("MAX(a, b)", "((a) > (b))"),
            ],
        };
        assert_eq!(found, wanted);
    }
}
