//! The control groups that this process is in.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::files;

/// What the kernel says about this process' groups and about mounts.
#[derive(Debug)]
pub(super) struct Membership {
    /// `/proc/self/cgroup`
    own: String,
    /// `/proc/self/mountinfo`
    mounts: String,
}

/// A group.
#[derive(Debug, PartialEq)]
pub(super) struct GroupPlace {
    pub(super) folder: PathBuf,
    /// The root of its tree, or of the part of the tree that a container sees.
    root: PathBuf,
}

impl Membership {
    /// As it was when it was first asked for.
    pub(super) fn own() -> &'static Membership {
        static OWN: OnceLock<Membership> = OnceLock::new();
        OWN.get_or_init(|| {
            let read = |file: &str| files::read_short(file.as_ref()).unwrap_or_default();
            Membership { own: read("/proc/self/cgroup"), mounts: read("/proc/self/mountinfo") }
        })
    }

    /// The group of version 1 that has this controller.
    pub(super) fn with(&self, controller: &str) -> Option<GroupPlace> {
        let path = self.path(|all| all.split(',').any(|one| one == controller))?;
        Some(GroupPlace::below(self.mount("cgroup", controller)?, path))
    }

    /// The group of version 2.
    pub(super) fn unified(&self) -> Option<GroupPlace> {
        let path = self.path(str::is_empty)?;
        Some(GroupPlace::below(self.mount("cgroup2", "")?, path))
    }

    /// The path in the line `ID:CONTROLLERS:PATH` with these controllers.
    fn path(&self, is_it: impl Fn(&str) -> bool) -> Option<&str> {
        self.own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next()?;
            parts.next().filter(|_| is_it(controllers))
        })
    }

    /// Where a file system of this kind with this option is mounted.
    fn mount(&self, kind: &str, option: &str) -> Option<PathBuf> {
        self.mounts.lines().find_map(|line| {
            let (front, back) = line.split_once(" - ")?;
            let mut back = back.split(' ');
            let is_it = back.next() == Some(kind)
                && back.nth(1)?.split(',').any(|one| option.is_empty() || one == option);
            front.split(' ').nth(4).filter(|_| is_it).map(PathBuf::from)
        })
    }
}

impl GroupPlace {
    pub(super) fn below(root: PathBuf, path: &str) -> GroupPlace {
        let folder = root.join(path.trim_start_matches('/'));
        let folder = if folder.is_dir() { folder } else { root.clone() };
        GroupPlace { folder, root }
    }

    /// The group and those above it: a limit on a group also limits the groups below it.
    pub(super) fn upwards(&self) -> impl Iterator<Item = &Path> {
        self.folder.ancestors().take_while(|folder| folder.starts_with(&self.root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_both_kinds_are_found() {
        let membership = Membership {
            own: "4:cpu,cpuacct:/a\n3:memory:/b:c\n0::/d\n".to_owned(),
            mounts: "25 1 0:2 / /nowhere/memory rw - cgroup cgroup rw,memory\n\
                     26 1 0:3 / /nowhere/unified rw - cgroup2 cgroup2 rw\n"
                .to_owned(),
        };
        let root = |root: &str| Some(GroupPlace { folder: root.into(), root: root.into() });
        assert_eq!(membership.with("memory"), root("/nowhere/memory"));
        assert_eq!(membership.unified(), root("/nowhere/unified"));
        assert_eq!(membership.with("cpu"), None, "it is not mounted");
        assert_eq!(membership.path(|names| names == "memory"), Some("/b:c"));
        assert_eq!(membership.path(str::is_empty), Some("/d"));
    }
}
