//! Which sections of a policy each machine accepts, and which further architectures its filters cover.

use super::policy::Section;
use libseccomp::ScmpArch;

/// What a policy means on one kind of machine.
#[derive(Debug)]
pub(super) struct Host {
    /// How the machine's name (`uname -m`) begins; the first row that fits counts.
    machine: &'static str,
    /// Named sections whose rules count here, beside `[all]`.
    sections: &'static [Section],
    /// Whether rules before the first section header count.
    headless: bool,
    /// Architectures beside the native one.
    pub(super) extra: &'static [ScmpArch],
}

impl Host {
    pub(super) fn accepts(&self, section: Section) -> bool {
        match section {
            Section::All => true,
            Section::Headless => self.headless,
            named => self.sections.contains(&named),
        }
    }
}

/// The row for a machine as `uname -m` names it.
pub(super) fn host(machine: &str) -> &'static Host {
    HOSTS
        .iter()
        .find(|host| machine.starts_with(host.machine))
        .unwrap_or(&OTHER)
}

static OTHER: Host = Host {
    machine: "",
    sections: &[],
    headless: false,
    extra: &[],
};

const MIPS_IS_BIG: bool = cfg!(target_endian = "big");

static HOSTS: &[Host] = {
    use ScmpArch as A;
    use Section::*;
    &[
        row("x86_64", &[X86, X32, X86_64], &[A::X86, A::X32]),
        row("i686", &[X86], &[]),
        row("aarch64", &[Arm, Arm64], &[A::Arm]),
        row("armv7", &[Arm], &[]),
        row("ppc64le", &[Ppc64le], &[]),
        row("ppc64", &[Ppc, Ppc64], &[A::Ppc]),
        row("ppc", &[Ppc], &[]),
        if MIPS_IS_BIG {
            row(
                "mips64",
                &[Mips, Mips64n32, Mips64],
                &[A::Mips, A::Mips64N32],
            )
        } else {
            row(
                "mips64",
                &[Mipsel, Mipsel64n32, Mipsel64],
                &[A::Mipsel, A::Mipsel64N32],
            )
        },
        row("mips", if MIPS_IS_BIG { &[Mips] } else { &[Mipsel] }, &[]),
        row("s390x", &[S390x], &[]),
        row("s390", &[S390], &[]),
        row("loongarch64", &[Loongarch64], &[]),
    ]
};

const fn row(
    machine: &'static str,
    sections: &'static [Section],
    extra: &'static [ScmpArch],
) -> Host {
    Host {
        machine,
        sections,
        headless: true,
        extra,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_machine_accepts_its_sections() {
        let check = |machine: &str, section: Section, accepted: bool| {
            assert_eq!(
                host(machine).accepts(section),
                accepted,
                "{section:?} on {machine}"
            );
        };
        for machine in [
            "x86_64", "i686", "aarch64", "armv7l", "ppc64le", "s390x", "riscv64",
        ] {
            check(machine, Section::All, true);
            check(machine, Section::Headless, machine != "riscv64");
        }
        check("x86_64", Section::X86, true);
        check("x86_64", Section::X32, true);
        check("x86_64", Section::Arm, false);
        check("i686", Section::X86_64, false);
        check("aarch64_be", Section::Arm, true);
        check("armv7l", Section::Arm64, false);
        check("ppc64le", Section::Ppc64, false);
        check("ppc64", Section::Ppc, true);
        check("s390x", Section::S390, false);
        check("s390", Section::S390, true);
        check("riscv64", Section::X86, false);
        assert_eq!(host("x86_64").extra, [ScmpArch::X86, ScmpArch::X32]);
        assert!(host("riscv64").extra.is_empty());
    }
}
