//! Another session in place of one that is of no use any more.

use std::sync::Arc;

use super::bounds::Bounds;
use super::exchange::Lost;
use super::login::LoginFailure;
use super::session::Session;
use super::shared::{Shared, lock};
use crate::error::Result;
use crate::log;
use crate::transport::Endpoint;

impl Shared {
    /// Replaces a session that is of no use any more, once for all threads that notice.
    ///
    /// The first thread logs in, the others wait for it and take its session.
    pub(super) fn renew(
        &self,
        stale: &Arc<Session>,
        lost: Lost,
        bounds: Bounds<'_>,
    ) -> Result<Arc<Session>> {
        let renewed = self.gate.run(bounds, self.clock(), || {
            let current = self.session();
            if !Arc::ptr_eq(&current, stale) {
                return Ok(current);
            }
            log::warning!(client, "{} {}: another session is needed", stale.endpoint, lost.words());
            let session = match self.replace(stale, lost, bounds) {
                Ok(session) => Arc::new(session),
                Err(error) => {
                    log::warning!(client, "no other session: {}", log::brief(&error));
                    return Err(error);
                }
            };
            log::info!(client, "session renewed at {}", session.endpoint);
            self.replace_session(session.clone());
            if lost != Lost::Session {
                self.retire(stale.clone(), bounds);
            }
            // Who closed the client meanwhile may have closed the old one.
            self.check_open().inspect_err(|_| self.forget(&session, bounds))?;
            Ok(session)
        })?;
        Ok(renewed.unwrap_or_else(|| self.session()))
    }

    fn replace(&self, stale: &Session, lost: Lost, bounds: Bounds<'_>) -> Result<Session> {
        // As long as nothing was read, any pool would do, and only the host that was named is it.
        let bound = self.pool_uuid().is_some();
        // A host that answers knows best; of one that does not, the others may know.
        if matches!(lost, Lost::Connection) && bound {
            return self.find_master(bounds);
        }
        let found = self.login().led_from(&stale.endpoint, bounds);
        let verified = found.and_then(|session| match self.verify_pool(&session, bounds) {
            Ok(()) => Ok(session),
            Err(error) => {
                self.forget(&session, bounds);
                Err(error)
            }
        });
        let error = match verified {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        let others_may_know = match LoginFailure::of(&error) {
            LoginFailure::BadPassword | LoginFailure::Caller => false,
            LoginFailure::OtherPool => self.knows_others(&stale.endpoint),
            _ => true,
        };
        if bound && others_may_know && !bounds.are_over(self.clock()) {
            self.find_master(bounds)
        } else {
            Err(error)
        }
    }

    fn knows_others(&self, than: &Endpoint) -> bool {
        lock(&self.members).iter().any(|member| member != than)
    }
}
