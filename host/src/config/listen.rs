//! `[listen]`: where the two listeners bind. Port 0 takes a free port; the addresses in force are
//! written to `listen.json` in the data folder. Looks up no name and binds nothing.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// See the head of this file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// The data plane: what applications call. Default `127.0.0.1:8080`.
    #[serde(deserialize_with = "address")]
    pub data: SocketAddr,
    /// The admin API and `/metrics`. Default `127.0.0.1:8081`.
    #[serde(deserialize_with = "address")]
    pub admin: SocketAddr,
}

// === impl Listen ===

impl Listen {
    /// Why the two can't both be listened on. The system would only say that an address is taken,
    /// as if by another program.
    pub(super) fn fault(&self) -> Option<String> {
        let (data, admin) = (self.data, self.admin);
        // An address of IPv4 that is written as one of IPv6 is bound as what it is.
        let [one, other] = [data, admin].map(|address| address.ip().to_canonical());
        let overlap = one == other || has(one, other) || has(other, one);
        // Port 0 takes a free one each time.
        if data.port() == 0 || data.port() != admin.port() || !overlap {
            return None;
        }
        let same = match data == admin {
            true => format!("they are the same address, {data}"),
            false => format!("{data} and {admin} are the same port of one address"),
        };
        Some(format!("{same}; give one of them another port"))
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            data: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin: SocketAddr::from(([127, 0, 0, 1], 8081)),
        }
    }
}

/// Whether whoever listens on `any` has `one` as well: `[::]` is every address of IPv4, too, as the
/// systems have it unless they are told otherwise.
fn has(any: IpAddr, one: IpAddr) -> bool {
    any.is_unspecified() && (any.is_ipv6() || one.is_ipv4())
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    deserializer.deserialize_str(Address)
}

struct Address;

impl Visitor<'_> for Address {
    type Value = SocketAddr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "IP:PORT, such as \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for every address of this \
             machine; names such as localhost are not looked up",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SocketAddr, E> {
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}
