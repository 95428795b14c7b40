//! What a shared library exports, and what programs ask the loader for.

use std::path::Path;
use std::time::Duration;

use super::Facts;
use crate::output::bounded;
use crate::project::Outcome;

/// `symbol NAME` for all that can be linked with, `soname`, and `symbol versions`.
pub fn facts(library: &Path) -> Outcome<Facts> {
    let output = bounded(Duration::from_secs(10), "readelf")
        .args(["--wide", "--dynamic", "--dyn-syms"])
        .arg(library)
        .output()?;
    if !output.status.success() {
        return Err(format!("readelf cannot read {}", library.display()).into());
    }
    Ok(read(&String::from_utf8_lossy(&output.stdout)))
}

fn read(text: &str) -> Facts {
    let mut facts = Facts::new();
    let mut versions = Vec::new();
    for line in text.lines() {
        if let Some((_, name)) = line.split_once("Library soname: [") {
            facts.insert("soname".to_owned(), name.trim_end_matches(']').to_owned());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[
            _,
            _,
            size,
            kind,
            "GLOBAL" | "WEAK" | "UNIQUE",
            _,
            section,
            name,
        ] = &words[..]
        else {
            continue;
        };
        let what = match kind {
            _ if section == "UND" => continue,
            "FUNC" | "IFUNC" => "function".to_owned(),
            "OBJECT" => format!("object, {size} bytes"),
            "TLS" => format!("object of each thread, {size} bytes"),
            // Marks that the linker sets, and no program refers to.
            _ => continue,
        };
        let (name, version) = name.split_once('@').unwrap_or((name, ""));
        if !version.is_empty() {
            versions.push(name.to_owned());
        }
        facts.insert(format!("symbol {name}"), what);
    }
    let versions = match versions.is_empty() {
        true => "none".to_owned(),
        false => versions.join(" "),
    };
    facts.insert("symbol versions".to_owned(), versions);
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_symbols_are_read() {
        let text = " 0x000000000000000e (SONAME)             Library soname: [liblxc.so.1]\n\
            \n   Num:    Value          Size Type    Bind   Vis      Ndx Name\n\
            1: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND malloc@GLIBC_2.2.5 (2)\n\
            2: 0000000000000000     8 TLS     GLOBAL DEFAULT   22 current_config\n\
            3: 0000000000083c30   200 FUNC    GLOBAL DEFAULT   14 lxc_container_new\n\
            4: 0000000000110400    32 OBJECT  GLOBAL DEFAULT   24 lxc_x@@LXC_1\n\
            5: 0000000000112008     0 NOTYPE  GLOBAL DEFAULT   25 _end\n\
            6: 0000000000112008     9 FUNC    LOCAL  DEFAULT   25 hidden\n";
        let found: Vec<String> = read(text)
            .iter()
            .map(|(fact, what)| format!("{fact} = {what}"))
            .collect();
        assert_eq!(
            found,
            [
                "soname = liblxc.so.1",
                "symbol current_config = object of each thread, 8 bytes",
                "symbol lxc_container_new = function",
                "symbol lxc_x = object, 32 bytes",
                "symbol versions = lxc_x",
            ]
        );
    }
}
