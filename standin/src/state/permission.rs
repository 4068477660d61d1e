//! Rights on a project, as Azkaban counts them: ADMIN stands alone and means all.

/// One right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) enum Right {
    Read,
    Write,
    Execute,
    Schedule,
    Admin,
}

impl Right {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::Execute => "EXECUTE",
            Self::Schedule => "SCHEDULE",
            Self::Admin => "ADMIN",
        }
    }
}

/// The rights of one user or group.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Permission(Vec<Right>);

impl Permission {
    /// These rights; ADMIN swallows the others.
    pub(crate) fn of(rights: impl IntoIterator<Item = Right>) -> Self {
        let mut rights: Vec<Right> = rights.into_iter().collect();
        if rights.contains(&Right::Admin) {
            rights = vec![Right::Admin];
        }
        rights.sort_unstable();
        rights.dedup();
        Self(rights)
    }

    pub(crate) fn allows(&self, right: Right) -> bool {
        self.0.contains(&Right::Admin) || self.0.contains(&right)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|right| right.name())
    }
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_means_all_and_stands_alone() {
        let admin = Permission::of([Right::Read, Right::Admin]);
        assert_eq!(admin.to_string(), "ADMIN");
        assert!(admin.allows(Right::Write));
        let reader = Permission::of([Right::Read]);
        assert!(reader.allows(Right::Read) && !reader.allows(Right::Write));
    }
}
