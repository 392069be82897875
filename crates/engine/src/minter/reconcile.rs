//! What is left over is dropped: of a session that ended, and of a process that was killed.

use std::time::Duration;

use super::{MintError, Minter, control, keeper, profile};
use crate::connection::Connection;
use crate::upstream::{Control, UpstreamError};

/// How often it is looked for.
pub(crate) const EVERY: Duration = Duration::from_secs(60);

/// Profiles that nobody has, kept for the next session that needs one.
const SPARE_PROFILES: usize = 16;

/// Roles by a pattern of `LIKE`.
pub(super) fn listed(pattern: &str) -> String {
    format!("SELECT rolname FROM pg_catalog.pg_roles WHERE rolname LIKE '{pattern}' ORDER BY 1")
}

/// Everything that a profile may do is taken back with it; its members lose it at once. A session may have made something
/// as its profile (`SET ROLE`): that stays.
pub(super) async fn drop_profile(control: &mut Control, name: &str, keeper: &str) -> Result<(), UpstreamError> {
    keeper::ready(control, keeper).await?;
    drop_owner(control, name, keeper).await
}

/// Drops a role that owns something, or has privileges.
async fn drop_owner(control: &mut Control, role: &str, keeper: &str) -> Result<(), UpstreamError> {
    let owned = format!("BEGIN; REASSIGN OWNED BY {role} TO {keeper}; DROP OWNED BY {role}; DROP ROLE {role}; COMMIT");
    let dropped = control.query(&owned).await;
    if dropped.is_err() {
        control.query("ROLLBACK").await?;
    }
    dropped.map(drop)
}

/// Ends what runs under a session's role, then drops the role. What the session made to stay belongs to the keeper then;
/// `true` if there is any.
pub(super) async fn drop_session(control: &mut Control, role: &str, keeper: &str) -> Result<bool, UpstreamError> {
    match end_and_drop(control, role, keeper).await {
        // insufficient_privilege: before release 16 a role may take the minter's membership in itself away
        Err(UpstreamError::Server { code, .. }) if code == "42501" => {
            control.query(&format!("GRANT {role} TO CURRENT_USER")).await?;
            end_and_drop(control, role, keeper).await
        }
        other => other,
    }
}

async fn end_and_drop(control: &mut Control, role: &str, keeper: &str) -> Result<bool, UpstreamError> {
    let backends = format!(
        "SELECT pg_catalog.pg_terminate_backend(pid, 5000) FROM pg_catalog.pg_stat_activity \
         WHERE usename = '{role}' AND backend_type = 'client backend'"
    );
    control.query(&backends).await?;
    match control.query(&format!("DROP ROLE IF EXISTS {role}")).await {
        // dependent_objects_still_exist
        Err(UpstreamError::Server { code, .. }) if code == "2BP01" => {
            keeper::ready(control, keeper).await?;
            drop_owner(control, role, keeper).await.map(|()| true)
        }
        other => other.map(|_| false),
    }
}

impl Minter {
    /// Drops every role of ours that no session has: those of an earlier process, and those that could not be dropped
    /// when their session ended.
    pub(crate) async fn reconcile(&self, connection: &Connection) -> Result<(), MintError> {
        let mut control = control(connection).await?;
        let left = profile::names(control.query(&listed(&self.names.sessions())).await?);
        // read after the list: a role is live before it is made
        let left: Vec<String> = {
            let live = self.live();
            left.into_iter().filter(|role| !live.contains(role)).collect()
        };
        for role in left {
            if let Err(error) = self.end(connection, &role).await {
                tracing::warn!(
                    connection = connection.name,
                    role,
                    error = &error as &dyn std::error::Error,
                    "a role that was left over could not be dropped"
                );
            }
        }
        self.plans.look_again();
        self.drop_spare_profiles(connection, &mut control).await?;
        control.close().await;
        Ok(())
    }

    async fn drop_spare_profiles(&self, connection: &Connection, control: &mut Control) -> Result<(), MintError> {
        // nobody is given one meanwhile
        let mut making = self.making.lock().await;
        if !making.swept {
            // those of an earlier process are dropped before the first of this one is made
            return Ok(());
        }
        let spare = format!(
            "SELECT p.rolname FROM pg_catalog.pg_roles p WHERE p.rolname LIKE '{}' AND NOT EXISTS (\
             SELECT FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles s ON s.oid = m.member \
             WHERE m.roleid = p.oid AND s.rolname LIKE '{}') ORDER BY 1 OFFSET {SPARE_PROFILES}",
            self.names.profiles(),
            self.names.sessions()
        );
        for name in profile::names(control.query(&spare).await?) {
            // whether or not we hear of it: who needs it makes it again
            making.profiles.remove(&name);
            drop_profile(control, &name, &self.names.keeper()).await?;
            tracing::debug!(connection = connection.name, profile = name, "a profile that nobody had is dropped");
        }
        Ok(())
    }
}
