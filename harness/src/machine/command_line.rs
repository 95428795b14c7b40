//! QEMU's command line for a machine.
//!
//! | words | why |
//! |---|---|
//! | `-nodefaults -no-user-config` | nothing but what is named here: the same machine on every host |
//! | `-display none`, `-serial chardev` | no window; the console is a file |
//! | `-no-reboot` | with `panic=-1`, a panic ends QEMU: it is seen at once, not at the deadline |
//! | `-global migration.store-global-state=off` | a snapshot does not say "stopped", so its machines run at once |
//! | `-accel tcg`, `-cpu max,cx16=off` | QEMU 7.2 translates cmpxchg16b wrongly, which corrupts 6.12 and later |
//! | `-M q35,memory-backend=ram` | microvm is unreliable; the memory is the file below |
//! | `memory-backend-file` | the snapshot is this file; a restored machine maps it privately |
//! | `-kernel` an ELF file | entered by PVH: nothing is unpacked in the machine, 0.3 to 1.6 s less |
//! | sockets by number | no name, no race to connect, nothing to remove |
//!
//! | kernel parameter | why |
//! |---|---|
//! | `console=ttyS0 quiet` | the console is seen; printing through a 16550 under TCG costs 0.1 to 0.4 s |
//! | `panic=-1 oops=panic` | what is broken ends |
//! | `tsc=reliable no_timer_check` | no watchdog that compares clocks which a busy host lets drift |
//! | `random.trust_cpu=on` | no wait for entropy |
//! | `cryptomgr.notests` | the largest gain: no self-tests of ciphers |
//! | `nowatchdog` | a host that is busy is no lock-up |
//! | `clocksource=hpet` (TCG) | the translated TSC is measured against the PIT at boot, and on a busy host wrongly: clocks were seen to run up to 4 times too fast. The HPET has nothing to be measured, and costs nothing that shows here |
//!
//! Tried and left out, as none of it was faster on 5.10, 6.1 and 7.3 by more than the runs differ:
//! `usb=off,smbus=off,sata=off,vmport=off,hpet=off`, `-cpu` without la57, smap, AVX or xsave, a larger
//! `tb-size`; `mitigations=off`, `nokaslr`, `audit=0`, `init_on_alloc=0`, `lpj=`, `8250.nr_uarts=1`,
//! `i8042.noprobe`. `pit=off` has 5.10 find its TSC 20 % too slow on a busy host.

use std::ffi::OsString;

use lxc_guest::protocol::{LAYOUT_PARAMETER, Layout, PORT};

use super::qemu::Accel;
use super::{Qemu, Spec};

/// Numbers at which QEMU finds what we give it.
pub(super) mod fd {
    /// The agent's port.
    pub const PORT: i32 = 3;
    /// QMP.
    pub const QMP: i32 = 4;
    /// The machine's memory.
    pub const MEMORY: i32 = 5;
    /// The serial console's log.
    pub const SERIAL: i32 = 6;
    /// The snapshot, at the place where the devices' state begins.
    pub const STATE: i32 = 7;
}

/// How the machine comes to life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// By the kernel's first instruction; its memory can be kept.
    Boot,
    /// By a snapshot, told over QMP; its memory is copied when it is written to.
    Restore,
}

/// The whole command line, the program first.
pub(super) fn argv(qemu: &Qemu, spec: &Spec, start: Start) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![qemu.program.clone().into()];
    let mut add = |text: &str| words.extend(text.split_whitespace().map(OsString::from));
    add("-nodefaults -no-user-config -display none -no-reboot");
    add("-global migration.store-global-state=off");
    add(match spec.accel {
        Accel::Tcg => "-accel tcg,thread=multi -cpu max,cx16=off",
        Accel::Kvm => "-accel kvm -cpu host",
    });
    let (share, waits) = match start {
        Start::Boot => ("on", ""),
        Start::Restore => ("off", "-incoming defer"),
    };
    let (memory, at) = (spec.memory_mib, fd::MEMORY);
    add("-M q35,memory-backend=ram");
    add(&format!("-m {memory} -smp {}", spec.cpus));
    add(&format!(
        "-object memory-backend-file,id=ram,size={memory}M,mem-path=/proc/self/fd/{at},share={share}"
    ));
    add(&format!(
        "-chardev file,id=serial,path=/proc/self/fd/{}",
        fd::SERIAL
    ));
    add("-serial chardev:serial");
    add(&format!("-chardev socket,id=qmp,fd={}", fd::QMP));
    add("-mon chardev=qmp,mode=control");
    add("-device virtio-serial-pci");
    add(&format!("-chardev socket,id=port,fd={}", fd::PORT));
    add(&format!("-device virtserialport,chardev=port,name={PORT}"));
    add(waits);
    let files = [("-kernel", &spec.elf), ("-initrd", &spec.initramfs)];
    for (option, file) in files {
        words.extend([option.into(), file.clone().into_os_string()]);
    }
    words.extend(["-append".into(), kernel_parameters(spec).into()]);
    words
}

fn kernel_parameters(spec: &Spec) -> String {
    let mut parameters = "console=ttyS0 quiet panic=-1 oops=panic tsc=reliable no_timer_check \
         random.trust_cpu=on cryptomgr.notests nowatchdog"
        .to_owned();
    parameters += &format!(" {}", cgroup_parameters(spec.layout));
    if spec.accel == Accel::Tcg {
        parameters += " clocksource=hpet";
    }
    for extra in &spec.append {
        parameters.push(' ');
        parameters += extra;
    }
    parameters
}

/// How the agent shall mount cgroups.
pub(super) fn cgroup_parameters(layout: Layout) -> String {
    let layout = match layout {
        Layout::V1 => "v1",
        Layout::Hybrid => "hybrid",
        Layout::V2 => "v2 cgroup_no_v1=all",
    };
    format!("{LAYOUT_PARAMETER}={layout}")
}

/// What a snapshot must have in common with the machine that is to be restored from it.
pub(super) fn likeness(qemu: &Qemu, spec: &Spec) -> String {
    let words = argv(qemu, spec, Start::Boot);
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    format!("QEMU {}\n{}", qemu.version, words.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn spec() -> Spec {
        Spec {
            append: vec!["apparmor=0".to_owned()],
            ..Spec::new(
                "/k/vmlinux".into(),
                "/k/a,b.cpio".into(),
                Layout::V2,
                "/s".into(),
            )
        }
    }

    fn qemu() -> Qemu {
        Qemu {
            program: PathBuf::from("/usr/bin/qemu-system-x86_64"),
            version: "7.2".to_owned(),
        }
    }

    fn shown(spec: &Spec, start: Start) -> String {
        let words = argv(&qemu(), spec, start);
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        words.join(" ").replace(" -", "\n-")
    }

    #[test]
    fn a_boots_command_line() {
        assert_eq!(
            shown(&spec(), Start::Boot),
            "/usr/bin/qemu-system-x86_64\n-nodefaults\n-no-user-config\n-display none\n-no-reboot\n\
             -global migration.store-global-state=off\n-accel tcg,thread=multi\n-cpu max,cx16=off\n\
             -M q35,memory-backend=ram\n-m 512\n-smp 1\n\
             -object memory-backend-file,id=ram,size=512M,mem-path=/proc/self/fd/5,share=on\n\
             -chardev file,id=serial,path=/proc/self/fd/6\n-serial chardev:serial\n\
             -chardev socket,id=qmp,fd=4\n-mon chardev=qmp,mode=control\n\
             -device virtio-serial-pci\n-chardev socket,id=port,fd=3\n\
             -device virtserialport,chardev=port,name=lxc.harness\n\
             -kernel /k/vmlinux\n-initrd /k/a,b.cpio\n\
             -append console=ttyS0 quiet panic=-1 oops=panic tsc=reliable no_timer_check \
             random.trust_cpu=on cryptomgr.notests nowatchdog lxc.cgroup=v2 cgroup_no_v1=all clocksource=hpet \
             apparmor=0"
        );
    }

    #[test]
    fn a_restored_machine_differs_in_its_memory_and_its_start_alone() {
        let boot = shown(&spec(), Start::Boot);
        let restore = shown(&spec(), Start::Restore);
        let restore = restore.replace("\n-incoming defer", "");
        assert_eq!(restore.replace("share=off", "share=on"), boot);
    }

    #[test]
    fn layouts_and_accelerators_have_their_words() {
        for (layout, end) in [
            (Layout::V1, "lxc.cgroup=v1 clocksource=hpet apparmor=0"),
            (
                Layout::Hybrid,
                "lxc.cgroup=hybrid clocksource=hpet apparmor=0",
            ),
        ] {
            let line = shown(&Spec { layout, ..spec() }, Start::Boot);
            assert!(line.ends_with(end), "{line}");
        }
        let kvm = Spec {
            accel: Accel::Kvm,
            ..spec()
        };
        let line = shown(&kvm, Start::Boot);
        assert!(line.contains("-accel kvm\n-cpu host\n"), "{line}");
        assert!(!line.contains("clocksource"), "{line}");
    }

    #[test]
    fn a_snapshot_knows_all_that_makes_its_machine() {
        let own = likeness(&qemu(), &spec());
        let other = Qemu {
            version: "10.0".to_owned(),
            ..qemu()
        };
        assert_ne!(likeness(&other, &spec()), own);
        for changed in [
            Spec {
                memory_mib: 256,
                ..spec()
            },
            Spec { cpus: 2, ..spec() },
            Spec {
                elf: "/k/other".into(),
                ..spec()
            },
            Spec {
                append: Vec::new(),
                ..spec()
            },
        ] {
            assert_ne!(likeness(&qemu(), &changed), own);
        }
        // Where its console goes makes no difference to the machine.
        let elsewhere = Spec {
            serial: "/t".into(),
            ..spec()
        };
        assert_eq!(likeness(&qemu(), &elsewhere), own);
    }
}
