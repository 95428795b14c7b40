//! Files: lines, includes, what is saved, and that a failure changes nothing.

use lxc_config::{Config, Diagnostic, Form, Kind, Origin};
use rstest::rstest;
use std::fs;
use std::path::Path;

fn parsed(text: &str) -> Config {
    let mut config = Config::new();
    config
        .parse(text, "demo/config")
        .unwrap_or_else(|error| panic!("{error}"));
    config
}

fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = dir.join(name);
    fs::write(&path, text).expect("file is written");
    path.to_string_lossy().into_owned()
}

fn loaded(path: &str) -> Result<Config, Diagnostic> {
    Config::load(Path::new(path))
}

#[rstest]
#[case("lxc.uts.name=demo", "demo")]
#[case("\t lxc.uts.name \t=\t demo \t", "demo")]
#[case("lxc.uts.name = \"demo\"", "demo")]
#[case("lxc.uts.name = 'demo'", "demo")]
#[case("lxc.uts.name = \"demo'", "\"demo'")]
#[case("lxc.uts.name = a=b", "a=b")]
#[case("lxc.uts.name = a # b", "a # b")]
#[case(
    "foo = bar\njunk\n#lxc.uts.name = no\nlxc.uts.name = demo\r\n\r\n",
    "demo"
)]
#[case("lxc.uts.name = demo\n\0lxc.uts.name = after the end", "demo")]
fn lines_are_read_as_lxc_does(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(
        parsed(text).get("lxc.uts.name"),
        Ok(Some(expected.to_owned())),
        "{text:?}"
    );
}

#[test]
fn the_text_is_kept_and_grows_with_what_is_set() {
    let mut config = parsed("# head\r\n\r\n  \nlxc.uts.name = 'demo'\nfoo = bar\n");
    config.set("lxc.tty.max", "4").expect("good value");
    config.set("lxc.tty.max", "5").expect("good value");
    assert_eq!(
        config.text(),
        "# head\n\nlxc.uts.name = 'demo'\nfoo = bar\nlxc.tty.max = 4\nlxc.tty.max = 5\n"
    );
    config.set("lxc.tty.max", "").expect("cleared");
    assert_eq!(
        config.text(),
        "# head\n\nlxc.uts.name = 'demo'\nfoo = bar\n"
    );
    assert_eq!(config.get("lxc.tty.max"), Ok(Some("0".to_owned())));
}

const DEVICES: &str = "lxc.net.1.type = veth\nlxc.net.1.link = a\nlxc.net.10.type = veth\n\
                       lxc.cap.drop = kill\nlxc.cgroup2.memory.max = 1G\nlxc.cgroup2.pids.max = 9\n\
                       lxc.cgroup.pids.max = 9\nlxc.hook.version = 1\nlxc.hook.start = /a\n";

#[rstest]
#[case("lxc.net.1", &["lxc.net.1."])]
#[case("lxc.net.1.type", &["lxc.net.1."])]
#[case("lxc.net.1.link", &["lxc.net.1.link"])]
#[case("lxc.net", &["lxc.net."])]
#[case("lxc.cap.keep", &["lxc.cap.drop"])]
#[case("lxc.cgroup2", &["lxc.cgroup2"])]
#[case("lxc.cgroup2.pids.max", &["lxc.cgroup2.pids.max"])]
#[case("lxc.cgroup", &["lxc.cgroup."])]
#[case("lxc.hook", &["lxc.hook.start"])]
fn clearing_removes_the_lines_it_takes_back(#[case] key: &str, #[case] removed: &[&str]) {
    let mut config = parsed(DEVICES);
    config.clear(key).unwrap_or_else(|error| panic!("{error}"));
    let is_kept = |line: &&str| !removed.iter().any(|start| line.starts_with(start));
    let expected: String = DEVICES.split_inclusive('\n').filter(is_kept).collect();
    assert_eq!(config.text(), expected);
}

#[test]
fn an_address_template_is_filled_in_once() {
    let config = parsed("lxc.net.0.type = veth\nlxc.net.0.hwaddr = xx:16:3e:xX:Xx:01\n");
    let drawn = config.get("lxc.net.0.hwaddr").expect("known").expect("set");
    assert!(
        !drawn.contains(['x', 'X']) && drawn.len() == 17 && drawn.ends_with(":01"),
        "{drawn}"
    );
    assert_eq!(
        u8::from_str_radix(&drawn[1..2], 16).expect("hexadecimal") % 2,
        0,
        "{drawn}"
    );
    assert_eq!(
        config.text(),
        format!("lxc.net.0.type = veth\nlxc.net.0.hwaddr = {drawn}\n")
    );
    assert_eq!(parsed(&config.text()).values(), config.values());
}

#[test]
fn setting_the_type_starts_a_device_afresh() {
    let mut config =
        parsed("lxc.net.0.type = veth\nlxc.net.0.link = lxcbr0\nlxc.net.0.ipv4.gateway = dev\n");
    config
        .set("lxc.net.0.ipv4.gateway", "10.0.3.1")
        .expect("good value");
    assert_eq!(
        config.get("lxc.net.0.ipv4.gateway"),
        Ok(Some("10.0.3.1".to_owned()))
    );
    config.set("lxc.net.0.type", "veth").expect("good value");
    assert_eq!(config.get("lxc.net.0.link"), Ok(None));
    assert_eq!(config.get("lxc.net"), Ok(Some("veth\n".to_owned())));
    let listed = config.keys(Some("lxc.net.0")).expect("listed");
    assert!(listed.contains(&"veth.pair".to_owned()), "{listed:?}");
}

#[test]
fn environment_is_copied_when_read_and_kept_by_replay() {
    // PATH is set wherever tests run; its value must not be read a second time.
    let path = std::env::var("PATH").expect("PATH is set");
    let config = parsed("lxc.environment = PATH\n");
    assert_eq!(
        config.get("lxc.environment"),
        Ok(Some(format!("PATH={path}\n")))
    );
    assert_eq!(config.text(), "lxc.environment = PATH\n");
    assert_eq!(config.assignments()[0].value, format!("PATH={path}"));
}

#[test]
fn a_failure_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let bad = write(
        dir.path(),
        "bad.conf",
        "lxc.uts.name = changed\nlxc.tty.max = abc\n",
    );
    let mut config = parsed("lxc.uts.name = demo\n");
    let before = config.clone();
    let error = config.load_more(Path::new(&bad)).expect_err("bad file");
    assert_eq!(
        error.origin,
        Some(Origin::File {
            file: bad.as_str().into(),
            line: 2
        })
    );
    let error = config.set("lxc.include", &bad).expect_err("bad include");
    assert_eq!(error.included_from, [Origin::Api]);
    assert_eq!(config.values(), before.values());
    assert_eq!(config.text(), before.text());
    assert_eq!(config.assignments(), before.assignments());
}

#[test]
fn includes_act_in_their_place_and_stay_one_line() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let parts = dir.path().join("conf.d");
    fs::create_dir(&parts).expect("directory");
    write(&parts, "20-b.conf", "lxc.group = b");
    write(&parts, "10-a.conf", "lxc.group = a\nlxc.tty.max = 2");
    write(&parts, "README", "lxc.nonsense = 1");
    write(&parts, ".conf", "lxc.nonsense = 1");
    let parts = parts.to_string_lossy();
    let text = format!(
        "lxc.tty.max = 1\nlxc.include = {parts}\nlxc.group = c\nlxc.include = {parts}-missing/\n"
    );
    let config =
        loaded(&write(dir.path(), "config", &text)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.get("lxc.group"), Ok(Some("a\nb\nc\n".to_owned())));
    assert_eq!(config.get("lxc.tty.max"), Ok(Some("2".to_owned())));
    assert_eq!(config.text(), text);
    let places: Vec<String> = config
        .assignments()
        .iter()
        .map(|a| a.origin.to_string())
        .collect();
    let at = |file: &str, line: u32| format!("{}:{line}", dir.path().join(file).display());
    assert_eq!(
        places,
        [
            at("config", 1),
            at("conf.d/10-a.conf", 1),
            at("conf.d/10-a.conf", 2),
            at("conf.d/20-b.conf", 1),
            at("config", 3)
        ]
    );
}

#[test]
fn a_directory_is_included_in_the_order_of_names() {
    let dir = tempfile::tempdir().expect("temporary directory");
    // Enough of them that no directory hands them out sorted by accident.
    let mut numbers: Vec<usize> = (10..42).collect();
    numbers.reverse();
    for number in &numbers {
        write(
            dir.path(),
            &format!("{number}.conf"),
            format!("lxc.group = {number}"),
        );
    }
    let config = parsed(&format!("lxc.include = {}/\n", dir.path().display()));
    numbers.reverse();
    let expected: String = numbers.iter().map(|number| format!("{number}\n")).collect();
    assert_eq!(config.get("lxc.group"), Ok(Some(expected)));
}

#[test]
fn a_fault_in_an_included_file_names_both_places() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let inner = write(dir.path(), "inner.conf", "\n\nlxc.tty.max = abc\n");
    let outer = write(
        dir.path(),
        "outer.conf",
        format!("# outer\nlxc.include = {inner}\n"),
    );
    let error = loaded(&outer).expect_err("bad include");
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{inner}:3: lxc.tty.max = abc: not a number")),
        "{text}"
    );
    assert!(
        text.ends_with(&format!("[included from {outer}:2]")),
        "{text}"
    );
}

#[test]
fn a_file_that_includes_itself_is_refused() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("loop.conf").to_string_lossy().into_owned();
    write(dir.path(), "loop.conf", format!("lxc.include = {path}\n"));
    let error = loaded(&path).expect_err("endless include");
    assert_eq!(error.kind, Kind::Include);
    assert!(
        error
            .to_string()
            .contains("files include each other more than 32 deep"),
        "{error}"
    );
}

#[test]
fn includes_may_be_as_deep_as_the_limit() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut next = write(dir.path(), "32.conf", "lxc.uts.name = deep\n");
    for level in (0..32).rev() {
        next = write(
            dir.path(),
            &format!("{level}.conf"),
            format!("lxc.include = {next}\n"),
        );
    }
    let config = loaded(&next).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.get("lxc.uts.name"), Ok(Some("deep".to_owned())));
    let too_deep = write(dir.path(), "top.conf", format!("lxc.include = {next}\n"));
    assert_eq!(
        loaded(&too_deep).map(|_| ()).map_err(|error| error.kind),
        Err(Kind::Include)
    );
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let error = loaded("/nonexistent/config").expect_err("missing file");
    assert_eq!(error.kind, Kind::Io(std::io::ErrorKind::NotFound));
    assert!(
        error
            .to_string()
            .starts_with("/nonexistent/config: cannot be read: No such file"),
        "{error}"
    );
    let error = loaded("/dev/zero").map(|config| config.text().len());
    // A NUL ends a file, but only after all of it would have had to be read.
    assert_eq!(
        error.map_err(|error| error.kind),
        Err(Kind::Io(std::io::ErrorKind::FileTooLarge))
    );
}

#[test]
fn bytes_that_are_not_utf8_matter_only_in_assignments() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = write(dir.path(), "latin1", b"# f\xfcr\r\nlxc.uts.name = demo\n");
    let config = loaded(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.text(), "# für\nlxc.uts.name = demo\n");
    let path = write(dir.path(), "bad", b"# x\nlxc.uts.name = f\xfcr\n");
    let error = loaded(&path).expect_err("bad encoding");
    assert!(
        error.to_string().starts_with(&format!("{path}:2: ")),
        "{error}"
    );
    assert!(error.to_string().contains("not UTF-8"), "{error}");
}

#[rstest]
#[case("lxc.uts.name", true)]
#[case("lxc.cgroup2", true)]
#[case("lxc.cgroup", true)]
#[case("lxc.cgroup2.memory.max", false)]
#[case("lxc.cgroup2.", false)]
#[case("lxc.net", true)]
#[case("lxc.net.", true)]
#[case("lxc.net.0", false)]
#[case("lxc.net.0.link", false)]
#[case("lxc.namespace.share.", true)]
#[case("lxc.namespace.share", false)]
#[case("lxc.namespace.share.net", false)]
#[case("lxc.prlimit", true)]
#[case("lxc.prlimit.nofile", false)]
#[case("lxc.hook", true)]
#[case("lxc.hook.bogus", false)]
#[case("lxc.include", true)]
#[case("lxc.idmap", true)]
#[case("lxc.environment.runtime", true)]
#[case("lxc.nothing", false)]
#[case("lxc.uts.name ", false)]
#[case("", false)]
fn supported_are_the_names_of_the_table(#[case] key: &str, #[case] expected: bool) {
    assert_eq!(Config::is_supported(key), expected, "{key}");
}

#[rstest]
#[case("lxc.uts.name", Some(Form::Text))]
#[case("lxc.log.level", Some(Form::Text))]
#[case("lxc.rootfs.options", Some(Form::Text))]
#[case("lxc.seccomp.notify.proxy", Some(Form::Text))]
#[case("lxc.init.uid", Some(Form::Printed))]
#[case("lxc.arch", Some(Form::Printed))]
#[case("lxc.cgroup.dir", Some(Form::Printed))]
#[case("lxc.mount.auto", Some(Form::Printed))]
#[case("lxc.prlimit.nofile", Some(Form::Printed))]
#[case("lxc.namespace.share.net", Some(Form::Printed))]
#[case("lxc.net.0.link", Some(Form::Printed))]
#[case("lxc.net.0.nothing", None)]
#[case("lxc.include", None)]
#[case("lxc.nothing", None)]
fn values_are_handed_out_as_lxc_does(#[case] key: &str, #[case] expected: Option<Form>) {
    assert_eq!(Config::form(key), expected, "{key}");
}

#[test]
fn a_device_of_which_nothing_is_left_is_gone() {
    let mut config = parsed("lxc.net.3.link = a\nlxc.net.3.name =\nlxc.uts.name = demo\n");
    assert_eq!(config.get("lxc.net.3.link"), Ok(Some("a".to_owned())));
    config.clear("lxc.net.3.link").expect("cleared");
    assert_eq!(config.values().net, []);
    assert_eq!(config.text(), "lxc.uts.name = demo\n");
}

#[test]
fn many_lines_take_no_longer_each_than_few() {
    let text = |count: usize| -> String {
        let line = |n| {
            format!(
                "lxc.idmap = u {n} 1 1\nlxc.net.{n}.l2proxy = 1\nlxc.prlimit =\nlxc.ephemeral = 1\n"
            )
        };
        (0..count).map(line).collect()
    };
    let time = |count: usize| {
        let text = text(count);
        let begin = std::time::Instant::now();
        let config = parsed(&text);
        // How many there are changes with every key that begins to work; that they are found is told by
        // the accepted texts.
        assert!(config.not_carried_out().len() <= 4 * count);
        begin.elapsed()
    };
    let few = time(1000);
    let many = time(16_000);
    // Sixteen times as many; a square would take 256 times as long.
    assert!(many < few * 120, "{few:?} for 1000, {many:?} for 16000");
}

#[rstest]
#[case("/usr/share/lxc/config/common.conf")]
#[case("/usr/share/lxc/config/nesting.conf")]
#[case("/usr/share/lxc/config/userns.conf")]
#[case("/etc/lxc/default.conf")]
fn the_files_of_a_distribution_load(#[case] path: &str) {
    if !Path::new(path).exists() {
        eprintln!("could not run: {path} is not installed");
        return;
    }
    let config = loaded(path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        parsed(&config.text()).assignments().len(),
        config.assignments().len()
    );
}

/// What the busybox template writes.
#[test]
fn the_configuration_of_the_busybox_template_loads() {
    let config = parsed(
        "lxc.rootfs.path = dir:/var/lib/lxc/c1/rootfs\nlxc.signal.halt = SIGUSR1\nlxc.signal.reboot = SIGTERM\n\
         lxc.uts.name = \"c1\"\nlxc.autodev = 1\nlxc.tty.max = 5\nlxc.pty.max = 1\n\
         lxc.cap.drop = sys_module mac_admin mac_override sys_time\n\
         # When using LXC with apparmor, uncomment the next line to run unconfined:\n\
         #lxc.apparmor.profile = unconfined\nlxc.mount.auto = cgroup:mixed proc:mixed sys:ro\n\
         lxc.mount.entry = shm dev/shm tmpfs defaults,create=dir 0 0\n\
         lxc.mount.entry = mqueue dev/mqueue mqueue defaults,optional,create=dir 0 0\n\
         lxc.mount.entry = /lib lib none ro,bind 0 0\n\
         lxc.mount.entry = /sys/kernel/security sys/kernel/security none ro,bind,optional 0 0\n",
    );
    let values = config.values();
    assert_eq!(values.uts_name.as_deref(), Some("c1"));
    assert_eq!(
        (values.signals.halt, values.signals.reboot),
        (Some(10), Some(15))
    );
    assert_eq!(values.mount_entries.len(), 4);
    assert!(values.mount_entries[1].value.options.optional);
    assert_eq!(values.rootfs.storage.as_deref(), Some("dir"));
}
