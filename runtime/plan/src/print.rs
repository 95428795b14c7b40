//! `--plan`: a plan as a person reads it.

use std::fmt;

use crate::{Side, StartPlan};

impl fmt::Display for StartPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Start of {} in {} steps:", self.name, self.steps.len())?;
        for (number, planned) in self.steps.iter().enumerate() {
            let side = match planned.side {
                Side::Host => "host",
                Side::HostBeside => "host, beside",
                Side::Guest => "guest",
                Side::HostAtReady => "host, at ready",
            };
            write!(f, "{:>3}. {:<14} {}", number + 1, side, planned.step)?;
            if let Some(origin) = &planned.origin {
                write!(f, "   [{origin}]")?;
            }
            writeln!(f)?;
        }
        for warning in &self.warnings {
            writeln!(f, "Note: {warning}")?;
        }
        Ok(())
    }
}
