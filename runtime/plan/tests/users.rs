//! What id maps need of the host, decided without a kernel: each shortcoming is named, with what
//! mends it, and nothing is named that is no shortcoming.
#![forbid(unsafe_code)]

use lxc_config::{IdKind, IdRange};
use lxc_plan::users::{
    AclEntry, AclTag, DirectoryFact, MapWriter, SubidFact, ToolFact, UserFacts, UsernsFact,
    findings, mapped_root, with_own, writer,
};
use rstest::rstest;

fn map(text: &str) -> Vec<IdRange> {
    let range = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse().unwrap();
        IdRange {
            kind: match words[0] {
                "u" => IdKind::User,
                _ => IdKind::Group,
            },
            inside: number(1),
            host: number(2),
            count: number(3),
        }
    };
    text.split(", ").map(range).collect()
}

const USUAL: &str = "u 0 100000 65536, g 0 100000 65536";

/// Alice, to whom everything is granted that [`USUAL`] needs.
fn alice() -> UserFacts {
    let tool = |name: &str| ToolFact {
        path: format!("/usr/bin/{name}"),
        privileged: true,
        nosuid: false,
    };
    UserFacts {
        euid: 1000,
        egid: 1001,
        login: Some("alice".into()),
        may_map: false,
        admin: false,
        no_new_privs: false,
        subuid: SubidFact::parse("alice:100000:65536\n"),
        subgid: SubidFact::parse("alice:100000:65536\n"),
        newuidmap: Some(tool("newuidmap")),
        newgidmap: Some(tool("newgidmap")),
        kernel: UsernsFact {
            present: true,
            none_allowed: false,
            privileged_only: false,
            apparmor_restricts: false,
        },
        way: vec![
            directory("/", 0, 0, 0o755),
            directory("/c", 1000, 1001, 0o711),
        ],
    }
}

fn root() -> UserFacts {
    UserFacts {
        euid: 0,
        egid: 0,
        login: Some("root".into()),
        may_map: true,
        admin: true,
        subuid: SubidFact::parse(""),
        subgid: SubidFact::parse(""),
        ..alice()
    }
}

fn directory(path: &str, uid: u32, gid: u32, mode: u32) -> DirectoryFact {
    DirectoryFact {
        path: path.into(),
        uid,
        gid,
        mode,
        acl: Vec::new(),
    }
}

fn told(ranges: &str, facts: &UserFacts) -> Vec<String> {
    let ranges = map(ranges);
    let found = findings(&ranges, facts, &writer(&ranges, facts));
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_is_found_where_all_is_well() {
    assert_eq!(told(USUAL, &alice()), Vec::<String>::new());
}

/// A change for the worse.
type Worse = (&'static str, fn(&mut UserFacts));

const SHORTCOMINGS: &[Worse] = &[
    ("no user namespaces", |f| f.kernel.present = false),
    ("none allowed", |f| f.kernel.none_allowed = true),
    ("privileged only", |f| f.kernel.privileged_only = true),
    ("apparmor", |f| f.kernel.apparmor_restricts = true),
    ("no new privs", |f| f.no_new_privs = true),
    ("nosuid", |f| f.newgidmap.as_mut().unwrap().nosuid = true),
    ("no tool", |f| f.newuidmap = None),
    ("no power", |f| {
        f.newuidmap.as_mut().unwrap().privileged = false
    }),
    ("no grant", |f| {
        f.subuid = SubidFact::parse("bob:100000:65536")
    }),
    ("other grant", |f| {
        f.subgid = SubidFact::parse("alice:200000:65536\n1000:7:1")
    }),
    ("no login", |f| f.login = None),
    ("unreadable", |f| {
        f.subuid = SubidFact::Unreadable("EACCES".into())
    }),
    ("closed way", |f| f.way[1].mode = 0o700),
];

/// Every sentence a reader can meet, in one place.
#[test]
fn a_shortcoming_is_told_with_what_mends_it() {
    let mut all = String::new();
    for (name, worsen) in SHORTCOMINGS {
        let mut facts = alice();
        worsen(&mut facts);
        let found = told(USUAL, &facts);
        assert!(!found.is_empty(), "{name}");
        all += &format!("{name}:\n  {}\n", found.join("\n  "));
    }
    insta::assert_snapshot!("users-findings", all);
}

#[test]
fn all_shortcomings_are_listed() {
    let mut facts = alice();
    facts.kernel.none_allowed = true;
    facts.no_new_privs = true;
    facts.subuid = SubidFact::parse("");
    facts.way[0].mode = 0o700;
    assert_eq!(told(USUAL, &facts).len(), 4);
}

/// Several lines, their union, and whom they belong to.
#[rstest]
#[case("alice:100000:65536", true)]
#[case("1000:100000:65536", true)]
#[case("alice:100000:30000\nalice:130000:40000", true)]
#[case("alice:130000:40000\n# x\n\nalice:99000:31000\n", true)]
#[case("alice:100000:30000\nalice:130001:40000", false)]
#[case("alice:100000:65535", false)]
#[case("alice:100001:65536", false)]
#[case("1001:100000:65536", false)]
#[case("alic:100000:65536", false)]
#[case("alice:100000", false)]
#[case("alice:100000:x", false)]
#[case("alice:100000:65536:", false)]
#[case("alice:100000:4294967295", true)]
#[case("alice:4294967295:4294967295", false)]
fn ranges_are_granted_by_name_and_by_number(#[case] subuid: &str, #[case] granted: bool) {
    let mut facts = alice();
    facts.subuid = SubidFact::parse(subuid);
    assert_eq!(told(USUAL, &facts).is_empty(), granted, "{subuid:?}");
}

#[test]
fn what_another_source_grants_is_left_to_the_tools() {
    let mut facts = alice();
    (facts.subuid, facts.subgid) = (SubidFact::Elsewhere, SubidFact::Elsewhere);
    assert_eq!(told(USUAL, &facts), Vec::<String>::new());
}

#[test]
fn the_own_ids_need_no_grant() {
    let mut facts = alice();
    (facts.subuid, facts.subgid) = (SubidFact::parse(""), SubidFact::parse(""));
    facts.way.clear();
    // Alone by the caller itself, whatever is installed; with others by the tools.
    let alone = "u 0 1000 1, g 0 1001 1";
    assert_eq!(writer(&map(alone), &facts), MapWriter::Direct);
    assert_eq!(told(alone, &facts), Vec::<String>::new());
    (facts.newuidmap, facts.newgidmap) = (None, None);
    assert_eq!(told(alone, &facts), Vec::<String>::new());
    assert_eq!(told("u 0 1000 2, g 0 1001 1", &facts).len(), 2);
    let mut facts = alice();
    let usual = format!("{USUAL}, u 65536 1000 1, g 65536 1001 1");
    assert!(matches!(
        writer(&map(&usual), &facts),
        MapWriter::Tools { .. }
    ));
    assert_eq!(told(&usual, &facts), Vec::<String>::new());
    facts.egid = 7;
    assert_eq!(told(&usual, &facts).len(), 1);
}

/// LXC takes the tools wherever they are, so root too needs a grant there; the host's root they
/// never map.
#[test]
fn root_writes_itself_where_it_must_and_by_the_tools_where_it_can() {
    let mut facts = root();
    assert_eq!(told(USUAL, &facts).len(), 2);
    assert!(told(USUAL, &facts)[0].contains("usermod --add-subuids 100000-165535 root"));
    let with_root = "u 0 0 65536, g 0 0 65536";
    assert_eq!(writer(&map(with_root), &facts), MapWriter::Direct);
    assert_eq!(told(with_root, &facts), Vec::<String>::new());
    facts.newgidmap.as_mut().unwrap().privileged = false;
    assert_eq!(writer(&map(USUAL), &facts), MapWriter::Direct);
    assert_eq!(told(USUAL, &facts), Vec::<String>::new());
    // What stops those without privileges does not stop root.
    let mut facts = root();
    facts.subuid = SubidFact::parse("root:100000:65536");
    facts.subgid = facts.subuid.clone();
    facts.no_new_privs = true;
    facts.kernel.privileged_only = true;
    facts.kernel.apparmor_restricts = true;
    facts.newuidmap.as_mut().unwrap().nosuid = true;
    assert_eq!(told(USUAL, &facts), Vec::<String>::new());
}

#[test]
fn alice_does_not_map_the_hosts_root() {
    let found = told("u 0 0 1, g 0 0 1", &alice());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("the host's user 0"), "{found:?}");
}

#[rstest]
#[case(USUAL, Some((100000, 100000)))]
#[case("u 1 100000 10, g 0 5 1", None)]
#[case("u 0 7 1, g 0 9 1", Some((7, 9)))]
fn root_of_a_container_is_somebody_outside(#[case] ranges: &str, #[case] ids: Option<(u32, u32)>) {
    assert_eq!(mapped_root(&map(ranges)), ids);
}

fn acl(entries: &[(AclTag, u16)]) -> Vec<AclEntry> {
    let entry = |(tag, permissions): &(AclTag, u16)| AclEntry {
        tag: *tag,
        permissions: *permissions,
    };
    entries.iter().map(entry).collect()
}

/// As acl(5) and the kernel decide for user and group 100000 without capabilities over the directory.
#[rstest]
#[case::others(0, 0, 0o711, &[], true)]
#[case::not_others(0, 0, 0o770, &[], false)]
#[case::group(0, 100_000, 0o710, &[], true)]
#[case::group_before_others(0, 100_000, 0o701, &[], false)]
#[case::owner_before_others(100_000, 0, 0o011, &[], false)]
#[case::owner(100_000, 0, 0o100, &[], true)]
#[case::all_mapped(100_001, 100_001, 0, &[], true)]
#[case::group_not_mapped(100_001, 5, 0, &[], false)]
#[case::named_user(0, 0, 0o710, &[(AclTag::User(100_000), 1), (AclTag::Mask, 1), (AclTag::Other, 0)], true)]
#[case::masked(0, 0, 0o700, &[(AclTag::User(100_000), 7), (AclTag::Mask, 6), (AclTag::Other, 1)], false)]
#[case::other_user(0, 0, 0o710, &[(AclTag::User(100_001), 7), (AclTag::Mask, 7), (AclTag::Other, 0)], false)]
#[case::named_user_denied(0, 0, 0o711, &[(AclTag::User(100_000), 0), (AclTag::Mask, 7), (AclTag::Other, 1)], false)]
#[case::named_group(0, 0, 0o710, &[(AclTag::Group(100_000), 1), (AclTag::Mask, 1), (AclTag::Other, 0)], true)]
#[case::named_group_denied(0, 0, 0o711, &[(AclTag::Group(100_000), 6), (AclTag::Mask, 7), (AclTag::Other, 1)], false)]
#[case::others_by_list(0, 0, 0o701, &[(AclTag::Group(5), 0), (AclTag::Mask, 0), (AclTag::Other, 1)], true)]
fn who_may_search_a_directory(
    #[case] uid: u32,
    #[case] gid: u32,
    #[case] mode: u32,
    #[case] entries: &[(AclTag, u16)],
    #[case] may: bool,
) {
    let mut facts = alice();
    facts.way = vec![DirectoryFact {
        acl: acl(entries),
        ..directory("/way", uid, gid, mode)
    }];
    assert_eq!(told(USUAL, &facts).is_empty(), may);
}

#[test]
fn the_first_closed_directory_is_named() {
    let mut facts = alice();
    facts.way = vec![
        directory("/", 0, 0, 0o755),
        directory("/home/alice", 1000, 1001, 0o750),
        directory("/home/alice/.local", 1000, 1001, 0o700),
    ];
    let found = told(USUAL, &facts);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("setfacl -m u:100000:x /home/alice'"),
        "{found:?}"
    );
}

/// As LXC numbers them.
#[rstest]
#[case("u 0 200000 1000, g 0 200000 1000", "u 1000 1000 1, g 1000 1001 1")]
#[case("u 0 200000 10, u 100 200100 5, g 0 1 1", "u 10 1000 1, g 1 1001 1")]
#[case("u 10 200100 5, u 0 200000 10, g 5 1 1", "u 15 1000 1, g 0 1001 1")]
#[case("u 0 1000 1, g 0 1000 2", "")]
#[case("u 5 1000 1", "g 0 1001 1")]
fn the_own_ids_are_mapped_to_what_is_free(#[case] ranges: &str, #[case] more: &str) {
    let mut wanted = map(ranges);
    if !more.is_empty() {
        wanted.extend(map(more));
    }
    assert_eq!(with_own(&map(ranges), 1000, 1001), wanted);
}
