//! Parameters as bytes.

use std::io;
use std::ops::Range;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};

use crate::error::{Error, ErrorKind, Result};
use crate::wire::Secret;
use crate::wire::secret::wipe;

/// Writes parameters one after another.
pub struct ParamWriter<'a> {
    body: Body,
    secrets: Vec<Range<usize>>,
    empty: bool,
    method: &'a str,
}

impl<'a> ParamWriter<'a> {
    /// Begins the request for a method.
    pub(super) fn new(method: &'a str) -> Self {
        let body = Body(Vec::with_capacity(512));
        Self { body, secrets: Vec::new(), empty: true, method }
    }

    /// What was written, and where the secrets are in it.
    pub(super) fn finish(self) -> (Body, Vec<Range<usize>>) {
        (self.body, self.secrets)
    }

    /// Writes one parameter.
    ///
    /// # Errors
    /// `InvalidInput` for a value that XAPI has no form for.
    pub fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.separate();
        self.write(value)
    }

    /// Writes one parameter that must not be shown.
    ///
    /// # Errors
    /// None in practice: a text always has a form.
    pub fn secret(&mut self, secret: &Secret) -> Result<()> {
        self.separate();
        let start = self.body.0.len();
        self.write(secret.reveal())?;
        self.secrets.push(start..self.body.0.len());
        Ok(())
    }

    fn write<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let mut serializer = serde_json::Serializer::with_formatter(&mut self.body, Strict);
        value.serialize(&mut serializer).map_err(|error| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("a parameter of {} has no form in XAPI", self.method),
            )
            .with_source(error)
        })
    }

    fn separate(&mut self) {
        if !std::mem::replace(&mut self.empty, false) {
            self.raw(b",");
        }
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.body.push(bytes);
    }
}

/// Bytes that are overwritten when they are dropped or outgrown.
pub(super) struct Body(pub(super) Vec<u8>);

impl Body {
    fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.max(2 * self.0.capacity()));
            larger.extend_from_slice(&self.0);
            wipe(&mut std::mem::replace(&mut self.0, larger));
        }
        self.0.extend_from_slice(bytes);
    }
}

impl io::Write for &mut Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Refuses what XAPI's types cannot hold, where serde_json would write something else.
struct Strict;

fn refused(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

impl Formatter for Strict {
    fn write_null<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        Err(refused("there is no null, and no infinite number, in XAPI"))
    }

    fn write_u64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        match i64::try_from(value) {
            Ok(value) => CompactFormatter.write_i64(writer, value),
            Err(_) => Err(refused("the number is larger than XAPI's 64-bit integers")),
        }
    }

    fn write_i128<W: ?Sized + io::Write>(&mut self, _: &mut W, _: i128) -> io::Result<()> {
        Err(refused("the number is larger than XAPI's 64-bit integers"))
    }

    fn write_u128<W: ?Sized + io::Write>(&mut self, _: &mut W, _: u128) -> io::Result<()> {
        Err(refused("the number is larger than XAPI's 64-bit integers"))
    }
}
