//! What a row of the key table says, and which row a key belongs to.

use crate::config::Form;
use crate::setting::{Family, Fault, Setting};
use crate::table::TABLE;
use crate::values::Values;

/// The key that reads another file, which only the file reader can do.
pub(crate) const INCLUDE: &str = "lxc.include";

/// One key, or one prefix of keys.
pub(crate) struct Row {
    /// The key; one that ends in `.` is a prefix and not listed.
    pub key: &'static str,
    /// What it is for, one sentence.
    pub doc: &'static str,
    /// Oldest kernel that can do it; `None` = no kernel is too old.
    pub since: Option<&'static str>,
    pub how: How,
    /// What follows the key of a family: as manuals write it, and for one member.
    pub member: (&'static str, &'static str),
    /// How get_config_item hands out its value.
    pub form: Form,
    pub carried_out: CarriedOut,
    /// Other keys whose lines are removed from the text when this one is cleared.
    pub also_clears: fn(&str) -> bool,
    /// Values, and the text each is read back as.
    pub takes: &'static [(&'static str, &'static str)],
    /// The same for unusual ways to write values, which manuals leave out.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "rows carry their own test data")
    )]
    pub also_takes: &'static [(&'static str, &'static str)],
    /// Values that are refused.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "rows carry their own test data")
    )]
    pub refuses: &'static [&'static str],
}

/// What stands behind a row.
#[derive(Clone, Copy)]
pub(crate) enum How {
    /// A value or a list.
    Item(&'static dyn Setting<Values>),
    /// A name for several keys, which can be cleared but not read.
    Group(&'static dyn Setting<Values>),
    /// A prefix.
    Family(&'static dyn Family),
    Include,
}

/// How much of what a key says happens at a start of this version.
#[derive(Clone, Copy)]
pub(crate) enum CarriedOut {
    /// All of it.
    Wholly,
    /// Nothing but the default.
    NotYet,
    /// All but the values in which this finds something; it returns the word.
    AllBut(fn(&str) -> Option<&str>),
}

impl CarriedOut {
    pub(crate) fn is_not_yet(self) -> bool {
        matches!(self, CarriedOut::NotYet)
    }
}

impl Row {
    const fn with(key: &'static str, doc: &'static str, how: How) -> Row {
        Row {
            key,
            doc,
            since: None,
            how,
            member: ("", ""),
            form: Form::Printed,
            carried_out: CarriedOut::Wholly,
            also_clears: |_| false,
            takes: &[],
            also_takes: &[],
            refuses: &[],
        }
    }

    pub(crate) const fn new(
        key: &'static str,
        doc: &'static str,
        item: &'static dyn Setting<Values>,
    ) -> Row {
        Row::with(key, doc, How::Item(item))
    }

    pub(crate) const fn group(
        key: &'static str,
        doc: &'static str,
        item: &'static dyn Setting<Values>,
    ) -> Row {
        Row::with(key, doc, How::Group(item))
    }

    pub(crate) const fn family(
        key: &'static str,
        doc: &'static str,
        family: &'static dyn Family,
    ) -> Row {
        Row::with(key, doc, How::Family(family))
    }

    pub(crate) const fn include(doc: &'static str) -> Row {
        Row::with(INCLUDE, doc, How::Include)
    }

    pub(crate) const fn since(self, kernel: &'static str) -> Row {
        Row {
            since: Some(kernel),
            ..self
        }
    }

    pub(crate) const fn member(self, placeholder: &'static str, one: &'static str) -> Row {
        Row {
            member: (placeholder, one),
            ..self
        }
    }

    pub(crate) const fn text_form(self) -> Row {
        Row {
            form: Form::Text,
            ..self
        }
    }

    pub(crate) const fn not_carried_out_yet(self) -> Row {
        Row {
            carried_out: CarriedOut::NotYet,
            ..self
        }
    }

    pub(crate) const fn also_clears(self, also_clears: fn(&str) -> bool) -> Row {
        Row {
            also_clears,
            ..self
        }
    }

    pub(crate) const fn takes(self, takes: &'static [(&'static str, &'static str)]) -> Row {
        Row { takes, ..self }
    }

    pub(crate) const fn also_takes(
        self,
        also_takes: &'static [(&'static str, &'static str)],
    ) -> Row {
        Row { also_takes, ..self }
    }

    pub(crate) const fn refuses(self, refuses: &'static [&'static str]) -> Row {
        Row { refuses, ..self }
    }

    pub(crate) fn is_readable(&self) -> bool {
        !matches!(self.how, How::Group(_))
    }

    /// What follows this row's name in `key`; `None` when the row is not about `key`.
    fn rest<'k>(&self, key: &'k str) -> Option<&'k str> {
        let rest = key.strip_prefix(self.key)?;
        let is_family = matches!(self.how, How::Family(_));
        let below = is_family && (rest.starts_with('.') || self.key.ends_with('.'));
        (rest.is_empty() || below).then_some(rest)
    }
}

/// What a key leads to.
pub(crate) enum Found<'k> {
    /// A row of its own.
    Item(&'static Row, &'static dyn Setting<Values>),
    /// A member of a family, with what follows the family's name.
    Member(&'static Row, &'static dyn Family, &'k str),
    Include,
}

/// The first row that `key` matches.
pub(crate) fn find(key: &str) -> Result<Found<'_>, Fault> {
    let found = TABLE.iter().find_map(|row| Some((row, row.rest(key)?)));
    let (row, rest) = found.ok_or_else(|| Fault::unknown("unknown key", ""))?;
    Ok(match row.how {
        How::Item(item) | How::Group(item) => Found::Item(row, item),
        How::Family(family) => Found::Member(row, family, rest),
        How::Include => Found::Include,
    })
}
