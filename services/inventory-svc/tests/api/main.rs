//! The service over gRPC.
