//! What can be passed as parameters.

use serde::Serialize;

use crate::error::Result;
use crate::wire::{ParamWriter, Secret};

/// The parameters of a call, after the session: a tuple, or a slice of equal types.
///
/// ```
/// use xcp_pool::client::Client;
/// use xcp_pool::model::{Host, Ref};
///
/// fn rename(pool: &Client, host: &Ref<Host>, name: &str) -> xcp_pool::Result<()> {
///     pool.call("host.set_name_label", &(host, name))
/// }
/// ```
pub trait Params {
    /// Writes them in order.
    ///
    /// # Errors
    /// `InvalidInput` for a value that XAPI has no form for.
    fn write(&self, out: &mut ParamWriter<'_>) -> Result<()>;
}

/// One parameter: a [`Secret`], or whatever serialises to XAPI's JSON.
///
/// Texts, booleans, integers, floats, refs, uuids, timestamps and enums of the model, sequences of
/// them (sets), string maps (maps) and structs (records).
pub trait Param {
    /// Writes it.
    ///
    /// # Errors
    /// `InvalidInput` for a value that XAPI has no form for.
    fn write(&self, out: &mut ParamWriter<'_>) -> Result<()>;
}

impl<T: Serialize> Param for T {
    fn write(&self, out: &mut ParamWriter<'_>) -> Result<()> {
        out.value(self)
    }
}

impl Param for Secret {
    fn write(&self, out: &mut ParamWriter<'_>) -> Result<()> {
        out.secret(self)
    }
}

impl Param for &Secret {
    fn write(&self, out: &mut ParamWriter<'_>) -> Result<()> {
        out.secret(self)
    }
}

impl<P: Param> Params for [P] {
    fn write(&self, out: &mut ParamWriter<'_>) -> Result<()> {
        self.iter().try_for_each(|param| param.write(out))
    }
}

impl<P: Param> Params for Vec<P> {
    fn write(&self, out: &mut ParamWriter<'_>) -> Result<()> {
        self.as_slice().write(out)
    }
}

impl Params for () {
    fn write(&self, _: &mut ParamWriter<'_>) -> Result<()> {
        Ok(())
    }
}

macro_rules! tuples {
    ($($name:ident $n:tt),*) => {
        tuples!(@ $($name $n),* ;);
    };
    (@ $name:ident $n:tt $(, $more:ident $m:tt)* ; $($done:ident $d:tt),*) => {
        impl<$($done: Param,)* $name: Param> Params for ($($done,)* $name,) {
            fn write(&self, out: &mut ParamWriter<'_>) -> Result<()> {
                $(self.$d.write(out)?;)*
                self.$n.write(out)
            }
        }
        tuples!(@ $($more $m),* ; $($done $d,)* $name $n);
    };
    (@ ; $($done:ident $d:tt),*) => {};
}

tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
