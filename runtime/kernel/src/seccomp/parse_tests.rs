use super::*;

fn named(
    line: u32,
    section: Section,
    name: &str,
    action: Action,
    conditions: &[Condition],
) -> Rule {
    Rule {
        line,
        section,
        syscall: Syscall::Name(name.into()),
        action,
        conditions: conditions.to_vec(),
    }
}

fn condition_of(index: u8, comparison: Comparison, value: u64, mask: u64) -> Condition {
    Condition {
        index,
        comparison,
        value,
        mask,
    }
}

#[test]
fn the_head_says_version_and_default() {
    let check = |text: &str, expected: Option<(Version, Action)>| {
        let found = parse(text).map(|policy| (policy.version, policy.default));
        assert_eq!(found.clone().ok(), expected, "{text:?} gives {found:?}");
    };
    let names = |default| Some((Version::Names, default));
    check("2\ndenylist\n", names(Action::Allow));
    check("2\nblacklist", names(Action::Allow));
    check("2\nallowlist\n", names(Action::Kill));
    check("2\nwhitelist\n", names(Action::Kill));
    check("2\ndenylist errno 5\n", names(Action::Errno(5)));
    check("2\ndenylist   errno 5\n", names(Action::Errno(5)));
    check("2\nallowlist trap\n", names(Action::Trap));
    check("2\nallowlist notify\n", names(Action::Notify));
    check("2\ndenylistx killx\n", names(Action::Kill));
    check("2\ndenylist errno1 and more\n", names(Action::Errno(1)));
    // All white space after the number is swallowed, and nothing has to be there.
    check("  2\n\n \n denylist\n", names(Action::Allow));
    check("2denylist\n", names(Action::Allow));
    check("+02\r\ndenylist\r\n", names(Action::Allow));
    check("1\nallowlist\n", Some((Version::Numbers, Action::Kill)));
    check(
        "1\nsome whitelist\n",
        Some((Version::Numbers, Action::Kill)),
    );
    for bad in [
        "",
        "\n",
        "3\ndenylist\n",
        "two\n",
        "22\ndenylist\n",
        "-2\ndenylist\n",
        "2",
        "2\n",
        "2\n\n\n",
        "2\ndeny\n",
        "2\nDENYLIST\n",
        "2\ndenylist \n",
        "2\ndenylist  \n",
        "2\ndenylist log\n",
        "2\ndenylist errno\n",
        "2\ndenylist debug\n",
        "2\ndebug denylist\n",
        "1\ndenylist\n",
        "1\nallowlist debug\n",
    ] {
        check(bad, None);
    }
}

#[test]
fn version_1_lists_numbers() {
    let check = |body: &str, expected: Option<&[i32]>| {
        let numbers = parse(&format!("1\nallowlist\n{body}")).map(|policy| {
            let number = |rule: Rule| match (rule.syscall, rule.action) {
                (Syscall::Number(number), Action::Allow) => number,
                other => panic!("{other:?}"),
            };
            policy.rules.into_iter().map(number).collect::<Vec<_>>()
        });
        assert_eq!(
            numbers.as_deref().ok(),
            expected,
            "{body:?} gives {numbers:?}"
        );
    };
    check("", Some(&[]));
    check("0\n1\n60", Some(&[0, 1, 60]));
    check("  0\n1 write\n231# exit\n", Some(&[0, 1, 231]));
    check("0\n\n1\n", None);
    check("# comment\n", None);
    check("read\n", None);
    check("-1\n", None);
    check("99999999999\n", None);
}

#[test]
fn a_rule_has_a_name_an_action_and_conditions() {
    use Comparison::*;
    let check = |line: &str, expected: Option<(Action, &[Condition])>| {
        let rules = parse(&format!("2\ndenylist\n{line}\n")).map(|policy| policy.rules);
        let expected = expected.map(|(action, conditions)| {
            vec![named(3, Section::Headless, "getcwd", action, conditions)]
        });
        assert_eq!(rules.clone().ok(), expected, "{line:?} gives {rules:?}");
    };
    // Without an action, that of the policy.
    check("getcwd", Some((Action::Kill, &[])));
    check("getcwd   ", Some((Action::Kill, &[])));
    check("getcwd # why", Some((Action::Kill, &[])));
    check("getcwd   #", Some((Action::Kill, &[])));
    // Actions are recognised by their beginning; text after them does not count.
    check("getcwd kill", Some((Action::Kill, &[])));
    check("getcwd killx", Some((Action::Kill, &[])));
    check("getcwd  allow", Some((Action::Allow, &[])));
    check("getcwd trap it", Some((Action::Trap, &[])));
    check("getcwd notify", Some((Action::Notify, &[])));
    check("getcwd errno 38", Some((Action::Errno(38), &[])));
    check("getcwd errno38", Some((Action::Errno(38), &[])));
    check("getcwd errno\t38", Some((Action::Errno(38), &[])));
    check("getcwd errno 38 # ENOSYS", Some((Action::Errno(38), &[])));
    check("getcwd errno 4094", Some((Action::Errno(4094), &[])));
    for bad in [
        "getcwd errno",
        "getcwd errno x",
        "getcwd errno -1",
        "getcwd errno 4095",
        "getcwd errno 70000",
        "getcwd log",
        "getcwd KILL",
        "getcwd\terrno 1",
        "\tgetcwd",
        " getcwd",
        "getcwd [0,1,==]",
        "getcwd[0,1,==]",
    ] {
        check(bad, None);
    }
    // Conditions.
    let one = |comparison| [condition_of(0, comparison, 1, 0)];
    check(
        "getcwd errno 1 [0,1,==]",
        Some((Action::Errno(1), &one(Equal))),
    );
    check(
        "getcwd errno 1[0,1,SCMP_CMP_EQ]",
        Some((Action::Errno(1), &one(Equal))),
    );
    check(
        "getcwd errno 1 what [0,1,!=]",
        Some((Action::Errno(1), &one(NotEqual))),
    );
    for (sign, name, comparison) in COMPARISONS {
        check(
            &format!("getcwd kill [0,1,{sign}]"),
            Some((Action::Kill, &one(*comparison))),
        );
        check(
            &format!("getcwd kill [0,1,{name}]"),
            Some((Action::Kill, &one(*comparison))),
        );
    }
    check(
        "getcwd kill [5,0xff,&=,010]",
        Some((Action::Kill, &[condition_of(5, MaskedEqual, 255, 8)])),
    );
    check(
        "getcwd kill [ 0, 1,==, 2]",
        Some((Action::Kill, &[condition_of(0, Equal, 1, 2)])),
    );
    check(
        "getcwd kill [0,1,==,]",
        Some((Action::Kill, &[condition_of(0, Equal, 1, 0)])),
    );
    check(
        "getcwd kill [0x2,0,<]",
        Some((Action::Kill, &[condition_of(2, Less, 0, 0)])),
    );
    let largest = [condition_of(0, Equal, u64::MAX, 0)];
    check(
        "getcwd kill [0,18446744073709551615,==]",
        Some((Action::Kill, &largest)),
    );
    let several: Vec<_> = (0..6)
        .map(|index| condition_of(index, Greater, index.into(), 0))
        .collect();
    let all = "[0,0,>][1,1,>] [2,2,>]   [3,3,>][4,4,>][5,5,>]";
    check(
        &format!("getcwd kill {all}"),
        Some((Action::Kill, &several)),
    );
    for bad in [
        "[0,1,==] ",
        "[0,1,==] # no",
        "[0,1,==]x[1,1,==]",
        "[0,1,==",
        "0,1,==]",
        "[",
        "[]",
        "[0]",
        "[0,1]",
        "[0,1,==,1,1]",
        "[6,1,==]",
        "[-1,1,==]",
        "[x,1,==]",
        "[0,x,==]",
        "[0,-1,==]",
        "[0,+1,==]",
        "[0,0x,==]",
        "[0,0x+1,==]",
        "[0,08,==]",
        "[0,18446744073709551616,==]",
        "[0,1 ,==]",
        "[0,1,EQ]",
        "[0,1, ==]",
        "[0,1,== ]",
        "[0,1,=]",
        "[0,1,==,x]",
        "[0,1,==][0,2,==]",
        &format!("{all}[0,0,>]"),
    ] {
        // A text without a bracket is only what follows an action.
        let expected = (!bad.contains('[')).then_some((Action::Kill, &[][..]));
        check(&format!("getcwd kill {bad}"), expected);
    }
}

#[test]
fn sections_hold_until_the_next_header() {
    let text = "2\ndenylist\nread\n\n[x86]\n# a comment [x\nwrite trap\n[ALL]\n  \nopen allow\n[X86_64]\nclose";
    let expected = [
        named(3, Section::Headless, "read", Action::Kill, &[]),
        named(7, Section::X86, "write", Action::Trap, &[]),
        named(10, Section::All, "open", Action::Allow, &[]),
        named(12, Section::X86_64, "close", Action::Kill, &[]),
    ];
    assert_eq!(
        parse(text).map(|policy| policy.rules),
        Ok(expected.to_vec())
    );
    for (name, section) in SECTIONS {
        for header in [name.to_string(), name.to_uppercase()] {
            let rules =
                parse(&format!("2\nallowlist\n{header}\r\nread\r\n")).map(|policy| policy.rules);
            assert_eq!(
                rules,
                Ok(vec![named(4, *section, "read", Action::Allow, &[])])
            );
        }
    }
    for bad in ["[riscv64]", "[All]", "[all] ", "[all]x", "[", "[]", "[all"] {
        let error = parse(&format!("2\ndenylist\n{bad}\n")).expect_err(bad);
        assert_eq!(
            (error.line, error.message),
            (3, format!("unsupported architecture {bad:?}"))
        );
    }
}

#[test]
fn forced_unmounts_are_refused_by_one_word() {
    let forced = [condition_of(1, Comparison::MaskedEqual, 1, 1)];
    let expected = vec![named(
        3,
        Section::Headless,
        "umount2",
        Action::Errno(13),
        &forced,
    )];
    for line in [
        "reject_force_umount",
        "reject_force_umount # always",
        "reject_force_umount allow",
        "reject_force_umountx",
    ] {
        let rules = parse(&format!("2\nallowlist\n{line}\n")).map(|policy| policy.rules);
        assert_eq!(rules.as_ref(), Ok(&expected), "{line}");
    }
    for line in ["reject_force_umount foo", "reject_force_umount kill [0"] {
        assert!(parse(&format!("2\nallowlist\n{line}\n")).is_err(), "{line}");
    }
}

#[test]
fn errors_say_where_and_what() {
    let check =
        |text: &str, expected: &str| assert_eq!(parse(text).expect_err(text).to_string(), expected);
    check(
        "7\n",
        "line 1: the policy must begin with its version, 1 or 2",
    );
    check(
        "2\n\n\n",
        "line 4: the policy word is missing, for instance denylist or allowlist",
    );
    check(
        "2\n\nlist\n",
        "line 3: the policy must be denylist or allowlist, not \"list\"",
    );
    check(
        "2\ndenylist\n# x\n\nread log\n",
        "line 5: an action is kill, errno N, allow, trap or notify, not \"log\"",
    );
    check(
        "2\ndenylist\nread kill [7,0,==]\n",
        "line 3: [7,0,==]: the index of an argument is 0 to 5",
    );
}
