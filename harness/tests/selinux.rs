//! Contexts on a real kernel that runs SELinux and has no policy: every context can be taken then that
//! the kernel knows by itself.
#![forbid(unsafe_code)]

mod lab;

use lab::{BOOT, Lab, sh};
use lxc_guest::protocol::Ended;
use lxc_harness::machine::Machine;

/// A container whose init, session keyring and attached programs are to get two contexts.
const CONTAINER: &str = "
export PATH=/opt/lxc-runtime/bin:$PATH
exec 2>&1
cd /var/lib/lxc
mkdir -p demo/rootfs/bin demo/rootfs/proc demo/rootfs/sys demo/rootfs/dev
cp /bin/busybox demo/rootfs/bin/busybox && ln -s busybox demo/rootfs/bin/cat
cat > demo/config <<END
lxc.rootfs.path = dir:/var/lib/lxc/demo/rootfs
lxc.net.0.type = empty
lxc.mount.auto = proc:mixed
lxc.selinux.context = unlabeled
lxc.selinux.context.keyring = security
lxc.init.cmd = /bin/busybox sleep 1000
END
";

/// What the kernel makes of a context that a program takes with its exec: newer ones (7.3) leave every
/// program as it is until a policy is loaded.
fn by_hand(context: &str) -> String {
    format!("echo -n {context} > /proc/self/attr/exec && exec cat /proc/self/attr/current")
}

#[test]
fn init_and_what_is_attached_run_under_the_containers_context() {
    let Some(lab) = Lab::open("init_and_what_is_attached_run_under_the_containers_context") else {
        return;
    };
    for image in &lab.images {
        let mut spec = lab.spec(image, "serial");
        spec.append.push("security=selinux selinux=1".to_owned());
        let (mut machine, _) = Machine::boot(&lab.qemu, &spec, BOOT).unwrap();
        let mut says = |script: &str| {
            let (ended, output) = sh(&mut machine, script);
            assert_eq!(ended, Ended::Exit(0), "{}: {script}\n{output}", image.name);
            output.replace('\0', "\n")
        };
        assert!(says("cat /sys/kernel/security/lsm").contains("selinux"));
        assert_eq!(says("cat /proc/self/attr/current").trim_end(), "kernel");
        says(&format!("{CONTAINER} lxc-start -n demo"));
        let inside = "export PATH=/opt/lxc-runtime/bin:$PATH; ";
        let init = says(&format!(
            "{inside} cat /proc/$(lxc-info -n demo -pH)/attr/current"
        ));
        let unlabeled = says(&by_hand("unlabeled"));
        assert_eq!(init, unlabeled, "{}", image.name);
        for (words, want) in [
            ("", unlabeled),
            ("-eLSM", "kernel".to_owned()),
            ("-c kernel", "kernel".to_owned()),
            ("-c security", says(&by_hand("security"))),
        ] {
            let attach = format!("lxc-attach -n demo {words} -- cat /proc/self/attr/current");
            let found = says(&format!("{inside} {attach}"));
            assert_eq!(
                found.trim_end(),
                want.trim_end(),
                "{}: {attach}",
                image.name
            );
        }
        says(&format!("{inside} lxc-stop -k -n demo"));
        println!(
            "{}: contexts of init and of four attached programs",
            image.name
        );
    }
}
