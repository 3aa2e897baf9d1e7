//! How long a command line may be: the numbers of xargs.

use crate::arguments::Length;
use crate::os::limits;

/// xargs leaves this number of bytes free for the variables that a command may add.
const HEADROOM: usize = 2048;

/// It makes command lines of this length unless asked for others.
const USUAL: usize = 128 << 10;

/// The smallest limit that a system may have.
const POSIX_LEAST: usize = 4096;

/// The limits of this system.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineLimits {
    environment: usize,
    /// The largest value of `-s`.
    pub(super) most: usize,
}

impl LineLimits {
    pub(super) fn of_this_system() -> LineLimits {
        let environment = limits::environment();
        let most = limits::all_arguments().saturating_sub(environment + HEADROOM);
        LineLimits { environment, most }
    }

    /// The limit that is used where -s asks for this.
    pub(super) fn chars(self, asked: Option<usize>) -> usize {
        asked.unwrap_or(USUAL).min(self.most)
    }

    /// The room for a command line of this number of bytes.
    pub(super) fn room(chars: usize) -> Length {
        let (total, longest) = limits::arguments();
        Length { chars, total, grows: 0, longest }
    }

    /// What `--show-limits` tells.
    pub(super) fn told(self, chars: usize) -> String {
        format!(
            "Your environment variables take up {} bytes\n\
             POSIX upper limit on argument length (this system): {}\n\
             POSIX smallest allowable upper limit on argument length (all systems): \
             {POSIX_LEAST}\n\
             Maximum length of command we could actually use: {}\n\
             Size of command buffer we are actually using: {chars}\n\
             Maximum parallelism (--max-procs must be no greater): {}\n",
            self.environment,
            self.most,
            self.most.saturating_sub(self.environment),
            i32::MAX,
        )
    }
}
