//! The shapes a row's operations take: a single value, a list, a family of names.

use crate::diagnostic::Kind;
use crate::row::CarriedOut;
use crate::values::{NetDevice, Origin, Values};

/// What a setter is given.
pub(crate) struct Input<'a> {
    /// The value: trimmed, unquoted, resolved, never empty.
    pub value: &'a str,
    /// Where it was written.
    pub origin: &'a Origin,
}

/// Why a setter or getter refuses; place and key are added by the caller.
#[derive(Debug)]
pub(crate) struct Fault {
    pub kind: Kind,
    /// The word at fault; `None` = the whole value.
    pub offending: Option<String>,
    pub message: String,
    pub hint: String,
    pub errno: i32,
}

/// The errno values that LXC answers with.
pub(crate) mod errno {
    pub(crate) const ENOENT: i32 = 2;
    pub(crate) const EINVAL: i32 = 22;
    pub(crate) const ERANGE: i32 = 34;
    pub(crate) const ENOSYS: i32 = 38;
    pub(crate) const EOVERFLOW: i32 = 75;
}

impl Fault {
    pub(crate) fn bad(message: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault {
            kind: Kind::BadValue,
            offending: None,
            message: message.into(),
            hint: hint.into(),
            errno: errno::EINVAL,
        }
    }

    pub(crate) fn unknown(message: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault {
            kind: Kind::UnknownKey,
            ..Fault::bad(message, hint)
        }
    }

    /// A part of LXC that a start refuses by name, because ignoring it would start another
    /// container than the one that was described.
    pub(crate) fn not_yet(hint: impl Into<String>) -> Fault {
        Fault {
            kind: Kind::NotImplemented,
            errno: errno::ENOSYS,
            ..Fault::bad("not implemented yet", hint)
        }
    }

    pub(crate) fn about(self, word: &str) -> Fault {
        Fault {
            offending: Some(word.to_owned()),
            ..self
        }
    }

    pub(crate) fn errno(self, errno: i32) -> Fault {
        Fault { errno, ..self }
    }
}

/// What becomes of a value before it is set.
pub(crate) enum Resolved {
    /// Nothing: it means the same every time it is read.
    AsWritten,
    /// This text stands for it now, but the saved text keeps what was written.
    ForThisRun(String),
    /// This text stands for it from now on, also in the saved text.
    ForGood(String),
}

/// The operations of one key on what it is stored in.
pub(crate) trait Setting<V>: Sync {
    /// Replaces what depends on the moment of reading (environment, random digits).
    fn resolve(&self, _value: &str) -> Result<Resolved, Fault> {
        Ok(Resolved::AsWritten)
    }

    /// Checks and stores a value that is not empty; changes nothing when it refuses.
    fn set(&self, values: &mut V, input: &Input) -> Result<(), Fault>;

    /// `KEY =`: clears, or does what LXC does instead; then the returned text is the value that
    /// `KEY =` was short for.
    fn empty(&self, values: &mut V) -> Result<Option<&'static str>, Fault> {
        self.clear(values);
        Ok(None)
    }

    /// Whether a second value adds to the first instead of replacing it.
    fn accumulates(&self) -> bool {
        false
    }

    /// Back to the default.
    fn clear(&self, values: &mut V);

    /// The exact text of get_config_item; `None` = unset.
    fn get(&self, values: &V) -> Option<String>;
}

/// The operations of all keys below one prefix. `rest` is what follows the row's name.
pub(crate) trait Family: Sync {
    fn resolve(&self, _rest: &str, _value: &str) -> Result<Resolved, Fault> {
        Ok(Resolved::AsWritten)
    }
    /// Whether `rest` names something of this family.
    fn knows(&self, rest: &str) -> bool;
    fn set(&self, values: &mut Values, rest: &str, input: &Input) -> Result<(), Fault>;
    /// Whether there is something that `rest` could be cleared of; a caller is told, a file is not.
    fn is_there(&self, _values: &Values, _rest: &str) -> Result<(), Fault> {
        Ok(())
    }
    fn clear(&self, values: &mut Values, rest: &str) -> Result<(), Fault>;
    /// The key to clear as well, because clearing `rest` has left nothing of it.
    fn left_empty(&self, _values: &Values, _rest: &str) -> Option<String> {
        None
    }
    fn get(&self, values: &Values, rest: &str) -> Result<Option<String>, Fault>;
    /// Whether a second value for `rest` adds to the first instead of replacing it.
    fn accumulates(&self, _rest: &str) -> bool {
        false
    }
    /// Whether `rest`, of which something is said, has the value it would have without.
    fn is_default(&self, _values: &Values, _rest: &str) -> bool {
        false
    }
    /// How much of `rest` happens at a start, when that is not the same for the whole family.
    fn carried_out(&self, _rest: &str) -> Option<CarriedOut> {
        None
    }
    /// Whether clearing `rest` also takes away what a line for `line_rest` set.
    fn covers(&self, rest: &str, line_rest: &str) -> bool;
}

/// A field of `V`, readable and writable.
pub(crate) struct Field<V, T> {
    pub of: fn(&V) -> &T,
    pub of_mut: fn(&mut V) -> &mut T,
}

/// A field of [`Values`].
macro_rules! field {
    ($($path:tt)+) => {
        crate::setting::Field {
            of: |v: &crate::values::Values| &v.$($path)+,
            of_mut: |v: &mut crate::values::Values| &mut v.$($path)+,
        }
    };
}
/// A field of [`NetDevice`].
macro_rules! nic {
    ($($path:tt)+) => {
        crate::setting::Field {
            of: |v: &crate::values::NetDevice| &v.$($path)+,
            of_mut: |v: &mut crate::values::NetDevice| &mut v.$($path)+,
        }
    };
}
pub(crate) use {field, nic};

/// Something whose untouched state holds the defaults.
pub(crate) trait Untouched {
    fn untouched() -> Self;
}

impl Untouched for Values {
    fn untouched() -> Values {
        Values::default()
    }
}

impl Untouched for NetDevice {
    fn untouched() -> NetDevice {
        NetDevice::new(0, Origin::Api)
    }
}

/// A key with one value: setting replaces.
pub(crate) struct Scalar<V: 'static, T: 'static> {
    pub field: Field<V, T>,
    pub parse: fn(&Input) -> Result<T, Fault>,
    pub show: fn(&T) -> Option<String>,
}

impl<V: Untouched, T> Setting<V> for Scalar<V, T> {
    fn set(&self, values: &mut V, input: &Input) -> Result<(), Fault> {
        *(self.field.of_mut)(values) = (self.parse)(input)?;
        Ok(())
    }

    fn clear(&self, values: &mut V) {
        std::mem::swap(
            (self.field.of_mut)(values),
            (self.field.of_mut)(&mut V::untouched()),
        );
    }

    fn get(&self, values: &V) -> Option<String> {
        (self.show)((self.field.of)(values))
    }
}

/// A key that may be repeated: setting appends, clearing empties.
pub(crate) struct List<V: 'static, T: 'static> {
    pub field: Field<V, Vec<T>>,
    pub parse: fn(&Input) -> Result<Vec<T>, Fault>,
    pub show: fn(&[T]) -> Option<String>,
}

impl<V, T> Setting<V> for List<V, T> {
    fn set(&self, values: &mut V, input: &Input) -> Result<(), Fault> {
        let mut items = (self.parse)(input)?;
        (self.field.of_mut)(values).append(&mut items);
        Ok(())
    }

    fn accumulates(&self) -> bool {
        true
    }

    fn clear(&self, values: &mut V) {
        (self.field.of_mut)(values).clear();
    }

    fn get(&self, values: &V) -> Option<String> {
        (self.show)((self.field.of)(values))
    }
}

/// Text forms of values, as get_config_item prints them.
pub(crate) mod show {
    use crate::values::Located;

    /// What LXC shows in a few places for "unset".
    pub(crate) const NULL: &str = "(null)";

    pub(crate) fn flag(value: &bool) -> Option<String> {
        Some(if *value { "1" } else { "0" }.to_owned())
    }

    pub(crate) fn number<T: ToString>(value: &T) -> Option<String> {
        Some(value.to_string())
    }

    pub(crate) fn number_or_zero(value: &Option<i32>) -> Option<String> {
        Some(value.unwrap_or(0).to_string())
    }

    pub(crate) fn number_if_any(value: &Option<u32>) -> Option<String> {
        value.map(|number| number.to_string())
    }

    pub(crate) fn text(value: &Option<String>) -> Option<String> {
        value.clone()
    }

    pub(crate) fn located(value: &Option<Located<String>>) -> Option<String> {
        value.as_ref().map(|located| located.value.clone())
    }

    /// Each item with a newline behind it; `None` for no items.
    pub(crate) fn lines<'a, T: 'a, S: AsRef<str>>(
        items: impl IntoIterator<Item = &'a T>,
        text: impl Fn(&'a T) -> S,
    ) -> Option<String> {
        let mut out = String::new();
        for item in items {
            out.push_str(text(item).as_ref());
            out.push('\n');
        }
        (!out.is_empty()).then_some(out)
    }

    /// The items with a newline between them; `None` for no items.
    pub(crate) fn joined<T: ToString>(items: &[T]) -> Option<String> {
        let texts: Vec<String> = items.iter().map(T::to_string).collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    }

    pub(crate) fn located_lines(items: &[Located<String>]) -> Option<String> {
        lines(items, |item| item.value.as_str())
    }
}
