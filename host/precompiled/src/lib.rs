//! Compiled policies: where machine code may come from, and the one unsafe call that runs it.
//!
//! Compiled code is executed as it is: whoever can change a byte of it runs what he likes in this
//! process, and the loader does not notice. So a [`Compiled`] can be had in three ways only: from
//! a component that was compiled in this process, from a child of this process through a pipe
//! that nobody else holds, and from a folder of this process's owner, behind a keyed hash. It is
//! never taken from a caller. Knows nothing of policies; never looks into a component.

mod child;
mod folder;

use std::fmt;

use wasmtime::Engine;
use wasmtime::component::Component;

pub use child::{Child, Limits, Refused, answer, confine};
pub use folder::{Folder, FolderError};

/// Machine code of one component, made by this program for this machine.
#[derive(Clone)]
pub struct Compiled(Vec<u8>);

impl Compiled {
    /// The code of a component that this process compiled itself.
    pub fn of(component: &Component) -> wasmtime::Result<Self> {
        component.serialize().map(Self)
    }

    /// Takes the code into an engine. The error says that it was made for another version or
    /// another configuration of the engine.
    #[allow(unsafe_code, reason = "the one unsafe call; see the argument beside it")]
    pub fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` wants bytes that `precompile_component` or `serialize` made, and
        // that nobody changed since. A `Compiled` is made in three places, all in this crate:
        // `of`, from `serialize` itself; `Child::compile`, from the answer of a child that runs
        // this very program, read from a pipe whose other end only that child holds; and
        // `Folder::take`, from a file whose HMAC-SHA256, over its name and all of its bytes, was
        // made with a key that only this process's owner can read, and only for a `Compiled`. The
        // bytes are copied before they are checked, and not shared with anyone. Another version
        // of the engine, or another configuration, is refused by `deserialize`.
        unsafe { Component::deserialize(engine, &self.0) }
    }

    /// Bytes of code and data.
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compiled(<{} bytes>)", self.0.len())
    }
}
