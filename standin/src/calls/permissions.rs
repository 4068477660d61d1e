//! Reading and changing who may do what on a project.

use crate::calls::manager::Call;
use crate::state::permission::{Permission, Right};
use crate::state::project::State;
use crate::wire::failure::Failure;
use crate::wire::java::hash_order;
use crate::wire::json::{HashMapJson, Json};

type Done = Result<(), Failure>;

/// The calls that [`super::manager`] leaves to this room; `getProjectId` adds nothing to what every answer says.
pub(super) async fn run(word: &str, call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    match word {
        "getPermissions" => ret.put("permissions", list(&call.project.read().users)),
        "getGroupPermissions" => ret.put("permissions", list(&call.project.read().groups)),
        "getProxyUsers" => {
            let mut proxies = call.project.read().proxies.clone();
            hash_order(&mut proxies, |name| name);
            ret.put("proxyUsers", Json::texts(proxies));
        }
        "checkForWritePermission" => {
            ret.put(
                "hasWritePermission",
                call.project.allows(&call.session.user, Right::Write),
            );
        }
        "addPermission" => return add(call, ret).await,
        "changePermission" => return change(call, ret).await,
        "addProxyUser" => return add_proxy(call, ret),
        "removeProxyUser" => return remove_proxy(call).await,
        _ => {}
    }
    Ok(())
}

fn list(permissions: &[(String, Permission)]) -> Json {
    let entry = |(name, permission): &(String, Permission)| {
        let names = Json::texts(permission.names());
        HashMapJson::new()
            .with("username", name.clone())
            .with("permission", names)
            .json()
    };
    Json::List(permissions.iter().map(entry).collect())
}

/// `Boolean.parseBoolean` of a required parameter.
fn flag(call: &Call<'_>, name: &str) -> Result<bool, Failure> {
    call.request
        .need(name)
        .map(|value| value.eq_ignore_ascii_case("true"))
}

/// All five are required.
fn asked(call: &Call<'_>) -> Result<Permission, Failure> {
    let mut rights = Vec::new();
    for (name, right) in [
        ("permissions[admin]", Right::Admin),
        ("permissions[read]", Right::Read),
        ("permissions[write]", Right::Write),
        ("permissions[execute]", Right::Execute),
        ("permissions[schedule]", Right::Schedule),
    ] {
        if flag(call, name)? {
            rights.push(right);
        }
    }
    Ok(Permission::of(rights))
}

fn holders(state: &mut State, group: bool) -> &mut Vec<(String, Permission)> {
    if group {
        &mut state.groups
    } else {
        &mut state.users
    }
}

fn what(group: bool) -> (&'static str, &'static str) {
    if group {
        ("GROUP_PERMISSION", "group")
    } else {
        ("USER_PERMISSION", "user")
    }
}

async fn add(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let name = call.request.need("name")?;
    let group = flag(call, "group")?;
    let known = holders(&mut call.project.write(), group)
        .iter()
        .any(|(known, _)| known == name);
    if known {
        ret.put(
            "error",
            if group {
                "Group permission already exists."
            } else {
                "User permission already exists."
            },
        );
        return Ok(());
    }
    // Groups are not checked in Azkaban's XML user manager.
    if !group && !call.server.users.iter().any(|user| user.name == name) {
        ret.put("error", "User is invalid.");
        return Ok(());
    }
    let permission = asked(call)?;
    call.server.faults.database().await;
    set(call, name, group, permission);
    Ok(())
}

async fn change(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let permission = asked(call)?;
    let group = flag(call, "group")?;
    let name = call.request.need("name")?;
    let known = holders(&mut call.project.write(), group)
        .iter()
        .any(|(known, _)| known == name);
    if !known {
        ret.put("error", format!("Permissions for {name} cannot be found."));
        return Ok(());
    }
    call.server.faults.database().await;
    if permission == Permission::default() {
        holders(&mut call.project.write(), group).retain(|(known, _)| known != name);
        let (kind, holder) = what(group);
        call.project.log(
            &call.session.user.name,
            kind,
            Some(format!("Permission for {holder} {name} removed.")),
        );
    } else {
        set(call, name, group, permission);
    }
    Ok(())
}

fn set(call: &Call<'_>, name: &str, group: bool, permission: Permission) {
    let (kind, holder) = what(group);
    let message = format!("Permission for {holder} {name} set to {permission}");
    {
        let mut state = call.project.write();
        let holders = holders(&mut state, group);
        match holders.iter_mut().find(|(known, _)| known == name) {
            Some(entry) => entry.1 = permission,
            None => holders.push((name.to_owned(), permission)),
        }
    }
    call.project.log(&call.session.user.name, kind, Some(message));
}

/// No user has a list of proxies here, and without one Azkaban refuses even one's own name.
fn add_proxy(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let name = call.request.need("name")?;
    let user = &call.session.user.name;
    ret.put(
        "error",
        format!("User {user} has no permission to add {name} as proxy user."),
    );
    Ok(())
}

async fn remove_proxy(call: &Call<'_>) -> Done {
    let name = call.request.need("name")?;
    call.server.faults.database().await;
    call.project.write().proxies.retain(|known| known != name);
    let message = format!("Proxy user {name} has been removed form the project.");
    call.project
        .log(&call.session.user.name, "PROXY_USER", Some(message));
    Ok(())
}
