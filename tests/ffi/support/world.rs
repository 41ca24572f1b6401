//! Worlds and clients that free themselves.

use std::ffi::CStr;
use std::ptr;

use serde_json::Value;
use xcp_pool::ffi::*;

use super::{Refusal, c, done, json, text};

/// What the tests hold; everything is freed in the end.
pub(crate) struct World {
    pub simulator: *mut xcp_simulator,
    pub transport: *mut xcp_transport,
}

impl World {
    pub(crate) fn story() -> Self {
        let mut simulator = ptr::null_mut();
        // SAFETY: the place is on this stack.
        done(|e| unsafe { xcp_simulator_story(1, &mut simulator, e) }).unwrap();
        Self::of(simulator)
    }

    pub(crate) fn new(spec: &Value) -> Self {
        let (spec, mut simulator) = (c(&spec.to_string()), ptr::null_mut());
        // SAFETY: the place is on this stack.
        done(|e| unsafe { xcp_simulator_new(spec.as_ptr(), &mut simulator, e) }).unwrap();
        Self::of(simulator)
    }

    fn of(simulator: *mut xcp_simulator) -> Self {
        let mut transport = ptr::null_mut();
        // SAFETY: the simulator is alive.
        done(|e| unsafe { xcp_transport_simulator(simulator, &mut transport, e) }).unwrap();
        Self { simulator, transport }
    }

    pub(crate) fn power_off(&self, host: &CStr) {
        // SAFETY: the world lives until it is dropped.
        done(|e| unsafe { xcp_simulator_power_off(self.simulator, host.as_ptr(), e) }).unwrap();
    }

    pub(crate) fn connect(&self, address: &CStr, password: &CStr) -> Result<Client, Refusal> {
        connect(self.transport, address, password, None)
    }

    pub(crate) fn client(&self, address: &CStr) -> Client {
        self.connect(address, c"xcp-test").unwrap()
    }

    pub(crate) fn trouble(&self, rule: &Value) {
        let rule = c(&rule.to_string());
        // SAFETY: the world lives until it is dropped.
        done(|e| unsafe { xcp_simulator_trouble(self.simulator, rule.as_ptr(), e) }).unwrap();
    }

    pub(crate) fn count(&self, host: &CStr, class: &CStr) -> usize {
        let mut count = 0;
        // SAFETY: the world lives until it is dropped.
        done(|e| unsafe {
            xcp_simulator_count(self.simulator, host.as_ptr(), class.as_ptr(), &mut count, e)
        })
        .unwrap();
        count
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // SAFETY: they are freed once.
        unsafe {
            xcp_transport_free(self.transport);
            xcp_simulator_free(self.simulator);
        }
    }
}

pub(crate) struct Client(pub *mut xcp_client);

// SAFETY: the header says that clients may be used from every thread.
unsafe impl Sync for Client {}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { xcp_client_free(self.0) }
    }
}

impl Client {
    pub(crate) fn call(&self, method: &str, params: &Value) -> Result<Value, Refusal> {
        self.call_under(method, params, ptr::null())
    }

    pub(crate) fn call_under(
        &self,
        method: &str,
        params: &Value,
        cancel: *const xcp_cancel,
    ) -> Result<Value, Refusal> {
        let (method, params) = (c(method), c(&params.to_string()));
        // SAFETY: the client lives until it is dropped, the texts during the call.
        json(|out, e| unsafe {
            xcp_client_call_json(self.0, method.as_ptr(), params.as_ptr(), cancel, out, e)
        })
    }

    pub(crate) fn endpoint(&self) -> String {
        // SAFETY: the client lives until it is dropped.
        text(|out, e| unsafe { xcp_client_endpoint(self.0, out, e) }).unwrap()
    }

    pub(crate) fn snapshot(
        &self,
        scope: &CStr,
        settled: bool,
    ) -> Result<*mut xcp_snapshot, Refusal> {
        let mut snapshot = ptr::null_mut();
        // SAFETY: the client lives until it is dropped.
        done(|e| unsafe {
            xcp_client_snapshot(self.0, scope.as_ptr(), settled, ptr::null(), &mut snapshot, e)
        })?;
        Ok(snapshot)
    }
}

pub(crate) fn connect(
    transport: *const xcp_transport,
    address: &CStr,
    password: &CStr,
    options: Option<&CStr>,
) -> Result<Client, Refusal> {
    let mut client = ptr::null_mut();
    // SAFETY: the transport is alive, and so are the texts.
    done(|e| unsafe {
        xcp_client_connect(
            transport,
            address.as_ptr(),
            c"root".as_ptr(),
            password.as_ptr(),
            options.map_or(ptr::null(), CStr::as_ptr),
            ptr::null(),
            &mut client,
            e,
        )
    })?;
    Ok(Client(client))
}
