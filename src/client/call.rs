//! Calls, and what is done when the session or the connection is gone.

use std::sync::atomic::Ordering;

use serde::de::DeserializeOwned;

use super::bounds::Bounds;
use super::exchange::{Lost, perform};
use super::handle::Client;
use super::policy;
use super::session::first_pool;
use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::model::{Record, Ref, Table, Uuid};
use crate::wire::{Call, Params, Reply};

impl Client {
    /// Calls a method and decodes its result.
    ///
    /// The parameters leave the session out.
    ///
    /// Methods and parameters are XAPI's; `()` is the type of "no result".
    ///
    /// A read is sent once more if the connection breaks, and then to the master that is found
    /// among the pool's hosts. Reads, changes of single fields and `Async` calls are sent once more
    /// with a new session if the server does not know the session, or is no longer the master.
    /// Other writes are sent exactly once: after `SESSION_INVALID` the session is renewed, but
    /// whether to try again is for the caller to decide.
    ///
    /// ```no_run
    /// # fn example(client: &xcp_pool::client::Client) -> xcp_pool::Result<()> {
    /// use xcp_pool::model::{Host, Ref};
    ///
    /// let hosts: Vec<Ref<Host>> = client.call("host.get_by_name_label", &("ignite",))?;
    /// for host in hosts {
    ///     client.call::<()>("host.disable", &(&host,))?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Fault` with what the server raised; `Protocol` for a result of another type; `State` if the
    /// session could only be renewed in another pool, or the client was closed; and as
    /// [`Transport::exchange`](crate::transport::Transport::exchange). After `Transport`, `Timeout`
    /// and `Cancelled` a write may have been done.
    pub fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &(impl Params + ?Sized),
    ) -> Result<T> {
        self.request(method, params, Reply::result)
    }

    /// All records of a class (`get_all_records`).
    ///
    /// # Errors
    /// As [`Self::call`]; `Protocol` names the record that is not of the class's type.
    pub fn records<T: Record + DeserializeOwned>(&self) -> Result<Table<T>> {
        self.table(&format!("{}.get_all_records", T::CLASS), &())
    }

    /// The records of a class that an expression selects (`get_all_records_where`).
    ///
    /// XAPI's grammar: `field "resident_on"="OpaqueRef:…" and not (field "is_a_template"="true")`;
    /// names of nested fields are written with two underscores (`name__label`).
    ///
    /// # Errors
    /// As [`Self::records`]; the fault `INVALID_VALUE` for what is no expression.
    pub fn records_where<T: Record + DeserializeOwned>(
        &self,
        expression: &str,
    ) -> Result<Table<T>> {
        self.table(&format!("{}.get_all_records_where", T::CLASS), &(expression,))
    }

    /// One record (`get_record`).
    ///
    /// # Errors
    /// As [`Self::call`]; the fault `HANDLE_INVALID` if the ref leads nowhere.
    pub fn record<T: Record + DeserializeOwned>(&self, reference: &Ref<T>) -> Result<T> {
        self.call(&format!("{}.get_record", T::CLASS), &(reference,))
    }

    /// The object with a uuid (`get_by_uuid`).
    ///
    /// # Errors
    /// As [`Self::call`]; the fault `UUID_INVALID` if there is none.
    pub fn by_uuid<T: Record>(&self, uuid: &Uuid) -> Result<Ref<T>> {
        self.call(&format!("{}.get_by_uuid", T::CLASS), &(uuid,))
    }

    fn table<T: Record + DeserializeOwned>(
        &self,
        method: &str,
        params: &impl Params,
    ) -> Result<Table<T>> {
        self.request(method, params, |reply| {
            let mut table = Table::default();
            table.cover();
            let mut wrong = None;
            reply.records::<T>(|reference, record| match record {
                Ok(record) => {
                    if table.insert(Ref::new(reference), record).is_some() {
                        wrong.get_or_insert_with(|| format!("{} {reference} came twice", T::CLASS));
                    }
                }
                Err(why) => {
                    wrong.get_or_insert_with(|| format!("{} {reference}: {why}", T::CLASS));
                }
            })?;
            match wrong {
                None => Ok(table),
                Some(wrong) => Err(Error::new(ErrorKind::Protocol, wrong)),
            }
        })
    }

    /// The uuid of the pool that this client belongs to.
    ///
    /// # Errors
    /// As [`Self::call`], if it must be asked for.
    pub fn pool_uuid(&self) -> Result<Uuid> {
        self.bind(self.bounds())?;
        Ok(self.shared.pool_uuid().unwrap_or_default())
    }

    /// Makes sure that it is known which pool this client belongs to.
    pub(super) fn bind(&self, bounds: Bounds<'_>) -> Result<()> {
        match self.shared.pool_uuid() {
            Some(_) => Ok(()),
            None => self.ask_pool(bounds),
        }
    }

    /// Asks which pool it is, and compares or notes it.
    fn ask_pool(&self, bounds: Bounds<'_>) -> Result<()> {
        let pool = self.request_unbound(
            "pool.get_all_records",
            &(),
            bounds.small(),
            Repeat::Yes,
            first_pool,
        )?;
        self.shared.bind_to_first(pool, &self.endpoint())
    }

    /// A request in this client's pool.
    pub(super) fn request<T>(
        &self,
        method: &str,
        params: &(impl Params + ?Sized),
        decode: impl FnMut(Reply) -> Result<T>,
    ) -> Result<T> {
        let bounds = self.bounds();
        if self.shared.suspect.load(Ordering::Relaxed) && !policy::is_read(method) {
            // The last write got no answer: is this still the master? A read finds out.
            self.ask_pool(bounds)?;
        }
        self.bind(bounds)?;
        self.request_unbound(method, params, bounds, Repeat::Yes, decode)
    }

    /// A request that may come before it is known which pool this client belongs to.
    pub(super) fn request_unbound<T>(
        &self,
        method: &str,
        params: &(impl Params + ?Sized),
        bounds: Bounds<'_>,
        repeat: Repeat,
        mut decode: impl FnMut(Reply) -> Result<T>,
    ) -> Result<T> {
        let shared = &*self.shared;
        shared.check_open()?;
        let is_read = policy::is_read(method);
        let (mut seen, mut repeated) = (Vec::new(), false);
        let (transport, mut session) = (&*shared.transport, shared.session());
        loop {
            let call = Call::new(method, Some(&session.reference), params)?;
            let performed = perform(transport, &session.endpoint, &call, bounds, &mut decode);
            let failure = match performed {
                Ok(value) => {
                    shared.suspect.store(false, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(failure) => failure,
            };
            let lost = match failure.lost() {
                None => return Err(failure.error),
                Some(Lost::Connection) if !is_read => {
                    shared.suspect.store(true, Ordering::Relaxed);
                    log::warning!(
                        client,
                        "{method} at {}: no answer, and it may have been done",
                        session.endpoint
                    );
                    return Err(failure.error);
                }
                Some(_) if bounds.are_over(self.clock()) => return Err(failure.error),
                // A kept connection may just have been closed by the other side.
                Some(Lost::Connection)
                    if !repeated && failure.error.kind() == ErrorKind::Transport =>
                {
                    repeated = true;
                    log::warning!(
                        client,
                        "{method} at {}: no answer; sent once more",
                        session.endpoint
                    );
                    continue;
                }
                Some(Lost::Role) if !policy::is_refused_whole(method) => {
                    return Err(failure.error);
                }
                Some(lost) => lost,
            };
            // Whatever happens a second time would happen a third time.
            if seen.contains(&lost) {
                return Err(failure.error);
            }
            seen.push(lost);
            session = shared.renew(&session, lost, bounds)?;
            if repeat == Repeat::No || !policy::is_refused_whole(method) {
                return Err(failure.error);
            }
            log::info!(client, "{method}: sent once more, to {}", session.endpoint);
        }
    }
}

/// Whether a request is sent again after the session was renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    No,
    Yes,
}
