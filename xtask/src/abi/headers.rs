//! What headers mean, as a compiler understands them.
//!
//! Three questions are put to it: which names there are (its preprocessor), how large they are, where
//! and what value they have (a program that prints them), and of which type (its list of prototypes).

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Facts;
use super::declarations::{Declarations, declared};
use crate::output::bounded;
use crate::project::Outcome;

const INCLUDES: &str = "#include <lxc/lxccontainer.h>\n#include <lxc/attach_options.h>\n\
                        #include <lxc/version.h>\n#include <errno.h>\n#include <stddef.h>\n\
                        #include <stdio.h>\n";

/// Macros that initialise an object, and the object's type: compared byte by byte.
const INITIALISERS: [(&str, &str); 1] = [("LXC_ATTACH_OPTIONS_DEFAULT", "lxc_attach_options_t")];

/// All facts of the headers `include/lxc/*.h`; files go to `scratch`.
pub fn facts(include: &Path, scratch: &Path) -> Outcome<Facts> {
    fs::create_dir_all(scratch)?;
    let compiler = Compiler { include, scratch };
    let source = compiler.file("names.c", INCLUDES)?;
    let text = compiler.run(compiler.cc(&source).args(["-E", "-dD"]))?;
    let folder = include.join("lxc/");
    let names = declared(&text, &folder.to_string_lossy());
    if names.structures.is_empty() {
        return Err(format!("{}: no structures found", folder.display()).into());
    }
    let mut facts = types(&compiler, &names)?;
    for (fact, value) in values(&compiler, &names)? {
        // A member's place and its type are one fact.
        facts
            .entry(fact)
            .and_modify(|known| *known = format!("{value}, {known}"))
            .or_insert(value);
    }
    Ok(facts)
}

struct Compiler<'a> {
    include: &'a Path,
    scratch: &'a Path,
}

impl Compiler<'_> {
    fn file(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let path = self.scratch.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    fn cc(&self, source: &Path) -> Command {
        let mut command = bounded(Duration::from_secs(60), "cc");
        command.arg("-I").arg(self.include).arg(source);
        command
    }

    fn run(&self, command: &mut Command) -> Outcome<String> {
        let output = command.output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {}\n{said}", self.include.display(), output.status).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Sizes, places and values, from a program that prints them.
fn values(compiler: &Compiler, names: &Declarations) -> Outcome<Facts> {
    let mut source = format!("{INCLUDES}{PRINTERS}int main(void)\n{{\n");
    for (structure, members) in &names.structures {
        let _ = writeln!(source, "SIZE({structure});");
        for member in members {
            let _ = writeln!(source, "FIELD({structure}, {member});");
        }
    }
    for name in &names.types {
        let _ = writeln!(source, "SIZE({name});");
    }
    for name in &names.enumerators {
        let _ = writeln!(source, "CONSTANT({name});");
    }
    for (name, body) in &names.macros {
        let _ = match INITIALISERS.iter().find(|(known, _)| known == name) {
            Some((_, of)) => writeln!(source, "INITIALISER({of}, {name});"),
            None if name.contains('(') => writeln!(source, "puts(\"macro {name} = a macro\");"),
            None if body.is_empty() => continue, // guards against reading a header twice
            None => writeln!(source, "CONSTANT({name});"),
        };
    }
    source.push_str("return 0;\n}\n");
    let source = compiler.file("values.c", &source)?;
    let program = compiler.scratch.join("values");
    compiler.run(compiler.cc(&source).arg("-o").arg(&program))?;
    let printed = compiler.run(&mut bounded(Duration::from_secs(10), &program))?;
    let pair = |line: &str| {
        line.split_once(" = ")
            .map(|(fact, value)| (fact.to_owned(), value.to_owned()))
    };
    Ok(printed.lines().filter_map(pair).collect())
}

const PRINTERS: &str = r#"
static void number(const char *name, long long value) { printf("constant %s = %lld\n", name, value); }
static void text(const char *name, const char *value) { printf("constant %s = %s\n", name, value); }
#define CONSTANT(name) _Generic((name), char *: text, const char *: text, default: number)(#name, name)
#define SIZE(type) printf("size " #type " = %zu bytes\n", sizeof(type))
#define FIELD(type, path) \
	printf("field " #type "." #path " = offset %zu, %zu bytes\n", offsetof(type, path), sizeof(((type *)0)->path))
#define INITIALISER(type, name) \
	do { \
		static const type object = name; \
		printf("initialiser " #name " ="); \
		for (size_t at = 0; at < sizeof(object); at++) \
			printf("%s%02x", at % 8 ? "" : " ", ((const unsigned char *)&object)[at]); \
		puts(""); \
	} while (0)
"#;

/// Prototypes of functions and types of members, as gcc writes them: without parameters' names.
fn types(compiler: &Compiler, names: &Declarations) -> Outcome<Facts> {
    let mut source = INCLUDES.to_owned();
    let mut asked = Vec::new();
    for (structure, members) in &names.structures {
        for member in members {
            // A function that returns the member's type brings that into the list of prototypes.
            let name = format!("member_{}", asked.len());
            let of = format!("__typeof__((({structure} *)0)->{member})");
            let _ = writeln!(source, "{of} {name}(void);");
            asked.push((name, format!("field {structure}.{member}"), true));
        }
    }
    for name in &names.functions {
        asked.push((name.clone(), format!("function {name}"), false));
    }
    let source = compiler.file("types.c", &source)?;
    let list = compiler.scratch.join("types.txt");
    let mut command = compiler.cc(&source);
    command.args(["-fsyntax-only", "-aux-info"]).arg(&list);
    compiler.run(&mut command)?;
    let mut facts = Facts::new();
    for line in fs::read_to_string(&list)?.lines() {
        let Some((_, prototype)) = line.split_once("*/ extern ") else {
            continue;
        };
        let prototype = prototype.trim_end_matches(';');
        for (name, fact, is_member) in &asked {
            if let Some(kind) = kind_of(prototype, name) {
                let kind = match is_member {
                    true => kind.replacen("(void)", "", 1),
                    false => kind,
                };
                facts.insert(fact.clone(), kind);
            }
        }
    }
    let silent = asked.iter().find(|(_, fact, _)| !facts.contains_key(fact));
    match silent {
        Some((_, fact, _)) => Err(format!("cc -aux-info says nothing of the {fact}").into()),
        None => Ok(facts),
    }
}

/// The declaration without the declared name, if that is `name`: gcc writes a blank and `(` behind it.
fn kind_of(prototype: &str, name: &str) -> Option<String> {
    let (before, after) = prototype.split_once(&format!("{name} ("))?;
    let is_whole = before.ends_with([' ', '*']);
    is_whole.then(|| format!("{before}({after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prototype_is_read_without_its_name() {
        for (prototype, name, kind) in [
            (
                "struct a *make (const char *)",
                "make",
                Some("struct a *(const char *)"),
            ),
            (
                "unsigned int (*m_1 (void)) (int)",
                "m_1",
                Some("unsigned int (*(void)) (int)"),
            ),
            ("int remake (void)", "make", None),
        ] {
            assert_eq!(kind_of(prototype, name).as_deref(), kind, "{prototype}");
        }
    }

    #[test]
    fn our_headers_are_understood() {
        let sh = xshell::Shell::new().unwrap();
        let scratch = sh.create_temp_dir().unwrap();
        let project = crate::project::Project::find().unwrap();
        let include = project.root.join("runtime/capi/include");
        let facts = facts(&include, scratch.path()).unwrap();
        for (fact, value) in [
            ("size struct lxc_container", "584 bytes"),
            (
                "field struct bdev_specs.zfs.zfsroot",
                "offset 16, 8 bytes, char *",
            ),
            (
                "field struct lxc_container.want_daemonize",
                "offset 160, 8 bytes, _Bool (*) (struct lxc_container *, _Bool)",
            ),
            ("function lxc_get_version", "const char *(void)"),
            ("constant LXC_ATTACH_LSM_NOW", "131072"),
        ] {
            assert_eq!(facts.get(fact).map(String::as_str), Some(value), "{fact}");
        }
        assert!(facts.contains_key("initialiser LXC_ATTACH_OPTIONS_DEFAULT"));
    }

    #[test]
    fn a_changed_header_is_seen() {
        let sh = xshell::Shell::new().unwrap();
        let scratch = sh.create_temp_dir().unwrap();
        let project = crate::project::Project::find().unwrap();
        let ours = project.root.join("runtime/capi/include");
        let changed = scratch.path().join("include");
        for file in [
            "lxc/attach_options.h",
            "lxc/lxccontainer.h",
            "lxc/version.h",
        ] {
            let text = sh.read_file(ours.join(file)).unwrap();
            let text = text.replace("(*is_running)", "*(*is_running)");
            let text = text.replace("int rcv_timeout;", "long rcv_timeout;");
            sh.write_file(changed.join(file), text).unwrap();
        }
        let was = facts(&ours, &scratch.path().join("a")).unwrap();
        let is = facts(&changed, &scratch.path().join("b")).unwrap();
        let differ: Vec<&str> = was
            .iter()
            .filter(|(fact, value)| is.get(*fact) != Some(value))
            .map(|(fact, _)| fact.trim_start_matches("field struct lxc_container."))
            .collect();
        assert_eq!(differ, ["is_running", "rcv_timeout"]);
    }
}
