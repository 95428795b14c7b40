//! What was done to the host and how it is taken back, newest first.

use lxc_kernel::SysError;

type Act<W> = Box<dyn FnOnce(&mut W) -> Result<(), SysError>>;

/// The stack of what was done to the world `W`.
pub struct UndoStack<W>(Vec<(String, Act<W>)>);

impl<W> UndoStack<W> {
    /// Nothing done yet.
    pub fn new() -> Self {
        UndoStack(Vec::new())
    }

    /// Remembers something that was done; `what` is what remains if taking it back fails, as a noun.
    pub fn push(
        &mut self,
        what: impl Into<String>,
        act: impl FnOnce(&mut W) -> Result<(), SysError> + 'static,
    ) {
        self.0.push((what.into(), Box::new(act)));
    }

    /// Takes everything back in reverse; returns what could not be, so that no failure of undoing
    /// ever replaces the failure that caused it.
    pub fn run(mut self, world: &mut W) -> Vec<String> {
        let mut left = Vec::new();
        while let Some((what, act)) = self.0.pop() {
            if let Err(error) = act(world) {
                left.push(format!("{what} ({error})"));
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_first_and_failures_are_named() {
        let mut stack = UndoStack::new();
        for name in ["first", "second", "third"] {
            stack.push(name, move |order: &mut Vec<&str>| {
                order.push(name);
                match name {
                    "second" => Err(SysError::new("rmdir", "x", lxc_kernel::Errno::BUSY)),
                    _ => Ok(()),
                }
            });
        }
        let mut order = Vec::new();
        let left = stack.run(&mut order);
        assert_eq!(order, ["third", "second", "first"]);
        assert_eq!(left.len(), 1);
        assert!(left[0].starts_with("second (rmdir("), "{left:?}");
    }
}
