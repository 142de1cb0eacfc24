//! Panics, as values.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

pub(crate) struct Caught {
    pub(crate) message: String,
    /// Known only of panics that were [silenced](silently).
    pub(crate) location: Option<String>,
    pub(crate) payload: Box<dyn Any + Send>,
}

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Calls a caller's code. The world that it may have left half done is not used any further.
pub(crate) fn catch<T>(act: impl FnOnce() -> T) -> Result<T, Caught> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|payload| Caught {
        message: message(&*payload),
        location: LOCATION.take(),
        payload,
    })
}

/// Keeps panics from being printed meanwhile: shrinking makes the same one happen a hundred times.
pub(crate) fn silently<T>(act: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            SILENT.set(self.0);
            LOCATION.set(None);
        }
    }

    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if SILENT.try_with(Cell::get).unwrap_or(false) {
                LOCATION.set(panic.location().map(ToString::to_string));
            } else {
                usual(panic);
            }
        }));
    });
    let _restore = Restore(SILENT.replace(true));
    act()
}

fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "(a value that is no text)".to_owned()
    }
}
