//! Finds the method of a request: a tree over path segments, made once from the `google.api.http` options of the served protos.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use http::uri::PathAndQuery;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value};

use super::template::{Segment, Template, Variable, percent_decode};

/// Paths of more segments than this are unknown without a look: the longest template has 10.
const PATH_SEGMENTS_MAX: usize = 32;

/// What of the request comes from the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BodyRule {
    None,
    Whole,
    Field(String),
    /// The whole message, or as it is what this field of it holds: a `google.api.HttpBody`.
    Payload(FieldDescriptor),
}

/// One binding of one gRPC method.
#[derive(Debug)]
pub(super) struct Route {
    /// `/package.Service/Method`.
    pub(super) grpc: PathAndQuery,
    pub(super) input: MessageDescriptor,
    pub(super) output: MessageDescriptor,
    pub(super) body: BodyRule,
    pub(super) variables: Vec<Variable>,
}

/// All routes.
#[derive(Debug, Default)]
pub(super) struct Routes {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    one: Option<Box<Node>>,
    /// What ends here.
    leaves: Vec<Leaf>,
    /// What ends with `**` here.
    rests: Vec<Leaf>,
}

#[derive(Debug)]
struct Leaf {
    method: Method,
    verb: Option<String>,
    route: Arc<Route>,
}

impl Routes {
    /// Reads the options of all unary methods. Errors name the method: they are ours to mend, in `proto/`.
    pub(super) fn from_pool(pool: &DescriptorPool) -> Result<Self, String> {
        let option = pool.get_extension_by_name("google.api.http").ok_or("`google.api.http` is not in the descriptors")?;
        let mut routes = Self::default();
        for service in pool.services() {
            for method in service.methods().filter(|method| !method.is_client_streaming() && !method.is_server_streaming()) {
                let options = method.options();
                if !options.has_extension(&option) {
                    continue;
                }
                let rule = options.get_extension(&option);
                let rule = rule.as_message().ok_or_else(|| format!("the option of {} is no HttpRule", method.full_name()))?;
                routes.add_all(&method, rule)?;
            }
        }
        Ok(routes)
    }

    fn add_all(&mut self, method: &MethodDescriptor, rule: &DynamicMessage) -> Result<(), String> {
        self.add(method, rule)?;
        let more = rule.get_field_by_name("additional_bindings");
        for rule in more.iter().filter_map(|more| more.as_list()).flatten().filter_map(Value::as_message) {
            self.add(method, rule)?;
        }
        Ok(())
    }

    fn add(&mut self, method: &MethodDescriptor, rule: &DynamicMessage) -> Result<(), String> {
        let wrong = |what: &str| format!("{what} in the HTTP rule of {}", method.full_name());
        let (verb, text) = pattern(rule).ok_or_else(|| wrong("no pattern"))?;
        let template = Template::parse(&text).ok_or_else(|| wrong("malformed template"))?;
        let route = Route {
            grpc: format!("/{}/{}", method.parent_service().full_name(), method.name()).parse().map_err(|_| wrong("odd name"))?,
            input: method.input(),
            output: method.output(),
            body: body_rule(rule, &method.input()),
            variables: template.variables,
        };
        let leaf = Leaf { method: verb, verb: template.verb, route: Arc::new(route) };
        self.root.insert(&template.segments, leaf);
        Ok(())
    }

    /// Finds the route of a path that was split at `/` after its first one. The returned segments have the verb cut off.
    pub(super) fn find<'p>(&self, method: &Method, path: &'p str) -> Option<(&Route, Vec<&'p str>)> {
        let path = path.strip_prefix('/')?;
        let mut segments = Vec::with_capacity(12);
        for segment in path.split('/') {
            if segments.len() == PATH_SEGMENTS_MAX {
                return None;
            }
            segments.push(segment);
        }
        let last = segments.pop()?;
        if let Some((stem, verb)) = last.rsplit_once(':') {
            segments.push(stem);
            if let Some(route) = self.root.find(method, Some(verb), &segments) {
                return Some((route, segments));
            }
            segments.pop();
        }
        segments.push(last);
        let route = self.root.find(method, None, &segments)?;
        Some((route, segments))
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.root.count()
    }
}

impl Node {
    fn insert(&mut self, segments: &[Segment], leaf: Leaf) {
        match segments.split_first() {
            None => self.leaves.push(leaf),
            Some((Segment::Rest, _)) => self.rests.push(leaf),
            Some((Segment::One, after)) => self.one.get_or_insert_default().insert(after, leaf),
            Some((Segment::Literal(text), after)) => self.literals.entry(text.clone()).or_default().insert(after, leaf),
        }
    }

    fn find(&self, method: &Method, verb: Option<&str>, segments: &[&str]) -> Option<&Route> {
        let of = |leaves: &'_ [Leaf]| leaves.iter().position(|leaf| leaf.method == method && leaf.verb.as_deref() == verb);
        let rest = || of(&self.rests).map(|at| &*self.rests[at].route);
        let Some((first, after)) = segments.split_first() else {
            return of(&self.leaves).map(|at| &*self.leaves[at].route).or_else(rest);
        };
        self.literal(first)
            .and_then(|node| node.find(method, verb, after))
            .or_else(|| self.one.as_ref().filter(|_| !first.is_empty()).and_then(|node| node.find(method, verb, after)))
            .or_else(rest)
    }

    fn literal(&self, segment: &str) -> Option<&Node> {
        self.literals.get(segment).or_else(|| {
            let decoded = segment.contains('%').then(|| percent_decode(segment, false)).flatten()?;
            self.literals.get(&decoded)
        })
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        let below: usize = self.literals.values().chain(self.one.as_deref()).map(Node::count).sum();
        below + self.leaves.len() + self.rests.len()
    }
}

pub(super) fn pattern(rule: &DynamicMessage) -> Option<(Method, String)> {
    let methods =
        [("get", Method::GET), ("post", Method::POST), ("put", Method::PUT), ("patch", Method::PATCH), ("delete", Method::DELETE)];
    methods.into_iter().find(|(name, _)| rule.has_field_by_name(name)).and_then(|(name, method)| Some((method, text(rule, name)?)))
}

fn body_rule(rule: &DynamicMessage, input: &MessageDescriptor) -> BodyRule {
    match text(rule, "body").as_deref() {
        None | Some("") => BodyRule::None,
        Some("*") => input.fields().find(is_payload).map_or(BodyRule::Whole, BodyRule::Payload),
        Some(field) => BodyRule::Field(field.to_owned()),
    }
}

fn is_payload(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(desc) if desc.full_name() == "google.api.HttpBody")
}

fn text(rule: &DynamicMessage, field: &str) -> Option<String> {
    rule.get_field_by_name(field)?.as_str().map(str::to_owned)
}
