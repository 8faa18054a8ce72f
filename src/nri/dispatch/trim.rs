//! Leaving out what a plugin does not read, before a message is decoded.
//!
//! Most of a container's message is its environment and its mounts, hundreds of little strings; making and dropping them
//! took longer than all else that an answer takes. Here they are passed over where they stand on the wire, by number.
//! A message that is none is left as it is: decoding says what is wrong with it.

use std::collections::HashMap;

use async_trait::async_trait;
use ttrpc::r#async::{MethodHandler, Service, TtrpcContext};

use crate::nri::plugin::Unread;

/// The methods that are worth it; in their messages the pods are field 1 and the containers field 2.
const METHODS: [&str; 3] = ["CreateContainer", "RunPodSandbox", "Synchronize"];

/// The same services, whose methods do not see what is `unread`.
pub(crate) fn trimmed(unread: Unread, mut services: HashMap<String, Service>) -> HashMap<String, Service> {
    for service in services.values_mut() {
        for method in METHODS {
            if let Some(inner) = service.methods.remove(method) {
                service.methods.insert(method.to_owned(), Box::new(Trimmed { inner, unread }));
            }
        }
    }
    services
}

struct Trimmed {
    inner: Box<dyn MethodHandler + Send + Sync>,
    unread: Unread,
}

#[async_trait]
impl MethodHandler for Trimmed {
    async fn handler(&self, ctx: TtrpcContext, mut request: ttrpc::Request) -> ttrpc::Result<ttrpc::Response> {
        if let Some(rest) = without(&request.payload, self.unread) {
            request.payload = rest;
        }
        self.inner.handler(ctx, request).await
    }
}

/// The message without the unread fields of its pods and containers. `None`: it is not well formed.
fn without(message: &[u8], unread: Unread) -> Option<Vec<u8>> {
    // What is kept is far less than there is, and the allocator asks the kernel for each large piece.
    let mut kept = Vec::with_capacity(message.len() / 3);
    for_each_field(message, |field| {
        let unread = match field.number {
            1 => unread.pod,
            2 => unread.container,
            _ => &[],
        };
        match field.content {
            Some(content) if !unread.is_empty() => append_without(&mut kept, field.number, content, unread),
            _ => {
                kept.extend_from_slice(field.whole);
                Some(())
            }
        }
    })?;
    Some(kept)
}

/// Appends the message in field `number` without some of its own fields.
fn append_without(to: &mut Vec<u8>, number: u64, message: &[u8], unread: &[u64]) -> Option<()> {
    let mut length = 0;
    for_each_field(message, |field| {
        length += if unread.contains(&field.number) { 0 } else { field.whole.len() };
        Some(())
    })?;
    put_varint(to, number << 3 | LENGTH_DELIMITED);
    put_varint(to, u64::try_from(length).ok()?);
    for_each_field(message, |field| {
        if !unread.contains(&field.number) {
            to.extend_from_slice(field.whole);
        }
        Some(())
    })
}

fn for_each_field(mut message: &[u8], mut visit: impl FnMut(Field<'_>) -> Option<()>) -> Option<()> {
    while !message.is_empty() {
        visit(Field::take(&mut message)?)?;
    }
    Some(())
}

const LENGTH_DELIMITED: u64 = 2;

/// A field of a message, as it stands on the wire.
struct Field<'a> {
    number: u64,
    /// Tag and value.
    whole: &'a [u8],
    /// What is in a message, a string or bytes.
    content: Option<&'a [u8]>,
}

impl<'a> Field<'a> {
    /// Takes the first one. `None`: there is none, or one of a form that NRI does not have (groups).
    fn take(rest: &mut &'a [u8]) -> Option<Self> {
        let all = *rest;
        let tag = varint(rest)?;
        let content = match tag & 7 {
            0 => {
                varint(rest)?;
                None
            }
            1 => {
                skip(rest, 8)?;
                None
            }
            LENGTH_DELIMITED => {
                let length = usize::try_from(varint(rest)?).ok()?;
                Some(skip(rest, length)?)
            }
            5 => {
                skip(rest, 4)?;
                None
            }
            _ => return None,
        };
        Some(Self { number: tag >> 3, whole: &all[..all.len() - rest.len()], content })
    }
}

fn skip<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (skipped, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(skipped)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *skip(rest, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // The low seven bits, and the mark that more follow.
        to.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    to.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests;
