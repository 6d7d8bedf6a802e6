//! The generated code of `proto/`: what can be asked of the services, and what they publish.

/// Descriptors of everything here, with the access option of each method.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

macro_rules! package {
    ($name:ident, $path:literal) => {
        pub mod $name {
            pub mod v1 {
                tonic::include_proto!($path);
            }
        }
    };
}

package!(auth, "bramble.auth.v1");
package!(log, "bramble.log.v1");
package!(orders, "bramble.orders.v1");
package!(inventory, "bramble.inventory.v1");
package!(billing, "bramble.billing.v1");
package!(hr, "bramble.hr.v1");
package!(ledger, "bramble.ledger.v1");
package!(analytics, "bramble.analytics.v1");
package!(olap, "bramble.olap.v1");

pub mod common {
    pub mod v1 {
        tonic::include_proto!("bramble.common.v1");
        include!(concat!(env!("OUT_DIR"), "/bramble.common.v1.serde.rs"));
    }
}

/// Each message is the `data` of a `CloudEvents` object; serde writes it as `ProtoJSON`.
pub mod events {
    pub mod v1 {
        tonic::include_proto!("bramble.events.v1");
        include!(concat!(env!("OUT_DIR"), "/bramble.events.v1.serde.rs"));
    }
}
