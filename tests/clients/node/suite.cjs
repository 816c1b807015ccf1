'use strict';
// Node's official Pub/Sub client against the emulator: every call of its surface. `EMULATOR` (host:port) says where
// the server is, `PRINTED` names the file of what it printed.
// Ends with `N passed, N failed`.

process.env.PUBSUB_EMULATOR_HOST = process.env.EMULATOR;
// The client would look for Google's metadata server, although an emulator needs no credentials.
process.env.METADATA_SERVER_DETECTION = 'none';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { randomUUID } = require('node:crypto');
const { Encodings, PubSub, Schema, SchemaTypes } = require('@google-cloud/pubsub');

const [INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION] = [3, 5, 6, 9];
const TEST_MS_MAX = 60_000;

const tests = [];
const test = (name, body) => tests.push([name, body]);

/** Asserts that a call is refused with this canonical status, and that the answer says why. */
async function refused(code, call, what) {
  const error = await call().then(() => assert.fail(`was accepted: ${what ?? call}`), (error) => error);
  assert.equal(error.code, code, `${what ?? call}: ${error.stack}`);
  assert.ok(error.details, `${what ?? call}: no message`);
}

/** Waits for a promise; a test that hangs fails. */
function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Collects from a streaming subscription until `enough`, acknowledging unless `handle` decides otherwise. */
function collect(subscription, enough, handle = (message) => message.ack()) {
  const messages = [];
  const done = new Promise((resolve, reject) => {
    subscription.on('error', reject);
    subscription.on('message', (message) => {
      messages.push(message);
      handle(message, messages.length);
      if (enough(messages)) resolve(messages);
    });
  });
  return within(30_000, 'messages', done).finally(() => subscription.close());
}

/** The unary calls of the generated client, for what the high-level one does by streams only. */
function subscriberClient(pubsub) {
  return new Promise((resolve, reject) =>
    pubsub.getClient_({ client: 'SubscriberClient' }, (error, client) => (error ? reject(error) : resolve(client))));
}

test('topics: created, read, changed, listed, deleted', async (pubsub, project) => {
  const [topic, created] = await pubsub.createTopic({ name: 'orders', labels: { team: 'shop' }, messageRetentionDuration: { seconds: 3600 } });
  assert.equal(topic.name, `projects/${project}/topics/orders`);
  assert.equal(created.name, topic.name);
  assert.deepEqual(created.labels, { team: 'shop' });
  assert.equal(Number(created.messageRetentionDuration.seconds), 3600);
  assert.equal(created.state, 'ACTIVE');
  assert.deepEqual((await topic.getMetadata())[0], created);
  assert.deepEqual(await topic.exists(), [true]);
  assert.deepEqual(await pubsub.topic('not-there').exists(), [false]);
  const [changed] = await topic.setMetadata({ labels: { team: 'mail' } });
  assert.deepEqual(changed.labels, { team: 'mail' });
  assert.equal(Number(changed.messageRetentionDuration.seconds), 3600);
  await pubsub.createTopic('mail');
  const names = (await pubsub.getTopics())[0].map((found) => found.name).sort();
  assert.deepEqual(names, [`projects/${project}/topics/mail`, topic.name]);
  const [page, next] = await pubsub.getTopics({ pageSize: 1, autoPaginate: false });
  assert.equal(page.length, 1);
  assert.ok(next.pageToken);
  await topic.delete();
  assert.deepEqual(await topic.exists(), [false]);
});

test('topics: refused', async (pubsub) => {
  await pubsub.createTopic('orders');
  await refused(ALREADY_EXISTS, () => pubsub.createTopic('orders'));
  for (const name of ['1orders', 'or', 'googorders', 'a'.repeat(256)]) await refused(INVALID_ARGUMENT, () => pubsub.createTopic(name), name);
  const missing = pubsub.topic('not-there');
  await refused(NOT_FOUND, () => missing.getMetadata());
  await refused(NOT_FOUND, () => missing.delete());
  await refused(NOT_FOUND, () => missing.setMetadata({ labels: {} }));
  await refused(NOT_FOUND, () => missing.publishMessage({ data: Buffer.from('x') }));
  await refused(NOT_FOUND, () => missing.getSubscriptions());
  await refused(NOT_FOUND, () => missing.createSubscription('billing'));
});

test('subscriptions: created, read, changed, listed, deleted', async (pubsub, project) => {
  const [topic] = await pubsub.createTopic('orders');
  const [dead] = await pubsub.createTopic('orders-dead');
  const [subscription, created] = await topic.createSubscription('billing', {
    ackDeadlineSeconds: 77,
    filter: 'attributes.kind = "order"',
    enableMessageOrdering: true,
    labels: { team: 'shop' },
    deadLetterPolicy: { deadLetterTopic: dead.name, maxDeliveryAttempts: 7 },
    retryPolicy: { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 60 } },
    messageRetentionDuration: 1200,
    retainAckedMessages: true,
  });
  assert.equal(subscription.name, `projects/${project}/subscriptions/billing`);
  assert.equal(created.topic, topic.name);
  assert.equal(created.ackDeadlineSeconds, 77);
  assert.equal(created.filter, 'attributes.kind = "order"');
  assert.equal(created.enableMessageOrdering, true);
  assert.equal(created.retainAckedMessages, true);
  assert.deepEqual(created.labels, { team: 'shop' });
  assert.deepEqual(created.deadLetterPolicy, { deadLetterTopic: dead.name, maxDeliveryAttempts: 7 });
  assert.equal(Number(created.retryPolicy.minimumBackoff.seconds), 1);
  assert.equal(Number(created.messageRetentionDuration.seconds), 1200);
  assert.equal(created.state, 'ACTIVE');
  assert.deepEqual((await subscription.getMetadata())[0], created);
  assert.deepEqual((await subscription.get())[1], created);
  assert.deepEqual(await subscription.exists(), [true]);
  assert.deepEqual(await pubsub.subscription('not-there').exists(), [false]);
  assert.deepEqual(await subscription.detached(), [false]);
  const [changed] = await subscription.setMetadata({ ackDeadlineSeconds: 33, labels: {} });
  assert.equal(changed.ackDeadlineSeconds, 33);
  assert.deepEqual(changed.labels, {});
  assert.equal(changed.deadLetterPolicy.maxDeliveryAttempts, 7);
  await pubsub.createSubscription('orders-dead', 'hold');
  const all = (await pubsub.getSubscriptions())[0].map((found) => found.name).sort();
  assert.deepEqual(all, [subscription.name, `projects/${project}/subscriptions/hold`]);
  assert.deepEqual((await topic.getSubscriptions())[0].map((found) => found.name), [subscription.name]);
  await subscription.delete();
  assert.deepEqual(await subscription.exists(), [false]);
});

test('subscriptions: refused', async (pubsub) => {
  const [topic] = await pubsub.createTopic('orders');
  const [subscription] = await topic.createSubscription('billing');
  await refused(ALREADY_EXISTS, () => topic.createSubscription('billing'));
  for (const options of [
    { ackDeadlineSeconds: 9 },
    { ackDeadlineSeconds: 601 },
    { messageRetentionDuration: 599 },
    { filter: 'attributes.kind = ' },
    { deadLetterPolicy: { deadLetterTopic: topic.name, maxDeliveryAttempts: 4 } },
    { retryPolicy: { maximumBackoff: { seconds: 601 } } },
    { pushEndpoint: 'nowhere' },
  ]) await refused(INVALID_ARGUMENT, () => topic.createSubscription('other', options), JSON.stringify(options));
  await refused(INVALID_ARGUMENT, () => topic.createSubscription('1billing'));
  await refused(INVALID_ARGUMENT, () => subscription.setMetadata({ filter: 'attributes:x' }), 'a filter cannot be changed');
  await refused(INVALID_ARGUMENT, () => subscription.setMetadata({ ackDeadlineSeconds: 5 }));
  const missing = pubsub.subscription('not-there');
  await refused(NOT_FOUND, () => missing.getMetadata());
  await refused(NOT_FOUND, () => missing.delete());
  await refused(NOT_FOUND, () => missing.setMetadata({ labels: {} }));
  await refused(NOT_FOUND, () => missing.seek(new Date()));
  await refused(NOT_FOUND, () => missing.modifyPushConfig({ pushEndpoint: 'http://127.0.0.1:9/' }));
  await refused(NOT_FOUND, () => missing.createSnapshot('before'));
  await refused(NOT_FOUND, () => pubsub.detachSubscription('not-there'));
  await assert.rejects(collect(missing, () => true), { code: NOT_FOUND });
});

test('schemas: revisions, and messages that are checked', async (pubsub, project) => {
  const field = (name, type) => ({ name, type, default: type === 'int' ? 0 : '' });
  const definition = (...fields) => JSON.stringify({ type: 'record', name: 'User', fields });
  const schema = await pubsub.createSchema('user', SchemaTypes.Avro, definition(field('id', 'int')));
  const name = `projects/${project}/schemas/user`;
  assert.equal(await schema.getName(), name);
  const details = await schema.get();
  assert.equal(details.definition, definition(field('id', 'int')));
  await pubsub.validateSchema({ type: SchemaTypes.Avro, definition: '"string"' });
  await refused(INVALID_ARGUMENT, () => pubsub.validateSchema({ type: SchemaTypes.Avro, definition: '{' }));
  await schema.validateMessage(Buffer.from('{"id": 1}'), Encodings.Json);
  await refused(INVALID_ARGUMENT, () => schema.validateMessage(Buffer.from('{"id": "1"}'), Encodings.Json));
  const [topic] = await pubsub.createTopic({ name: 'users', schemaSettings: { schema: name, encoding: Encodings.Json } });
  const [subscription] = await topic.createSubscription('mailer');
  await refused(INVALID_ARGUMENT, () => topic.publishMessage({ json: { id: 'one' } }));
  await topic.publishMessage({ json: { id: 1 } });
  const [message] = await collect(subscription, (messages) => messages.length === 1);
  const told = Schema.metadataFromMessage(message.attributes);
  assert.deepEqual([told.name, told.revision, told.encoding], [name, details.revisionId, Encodings.Json]);
  const listed = [];
  for await (const found of pubsub.listSchemas()) listed.push(found.name);
  assert.deepEqual(listed, [name]);
  await schema.delete();
  await refused(NOT_FOUND, () => schema.get());
});

test('publish: what is refused', async (pubsub) => {
  const [topic] = await pubsub.createTopic('orders');
  const attributes = Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`k${n}`, 'v']));
  await refused(INVALID_ARGUMENT, () => topic.publishMessage({ data: Buffer.from('x'), attributes }), '101 attributes');
  await refused(INVALID_ARGUMENT, () => topic.publishMessage({ data: Buffer.from('x'), attributes: { k: 'v'.repeat(1025) } }), 'a long value');
  await refused(INVALID_ARGUMENT, () => topic.publishMessage({ data: Buffer.alloc(12_000_000, 'x') }), '12 MB');
});

test('publish and receive: bytes, attributes, identity', async (pubsub) => {
  const [topic] = await pubsub.createTopic('orders');
  const [subscription] = await topic.createSubscription('billing');
  const ids = await Promise.all([
    topic.publishMessage({ data: Buffer.from([0, 255, 1]), attributes: { kind: 'order' }, orderingKey: 'customer-1' }),
    topic.publishMessage({ json: { id: 7 } }),
    topic.publishMessage({ attributes: { only: 'attributes' } }),
  ]);
  assert.equal(new Set(ids).size, 3);
  const messages = await collect(subscription, (messages) => messages.length === 3);
  const byId = Object.fromEntries(messages.map((message) => [message.id, message]));
  assert.deepEqual(new Set(Object.keys(byId)), new Set(ids));
  const [bytes, json, bare] = ids.map((id) => byId[id]);
  assert.deepEqual([...bytes.data], [0, 255, 1]);
  assert.deepEqual({ ...bytes.attributes }, { kind: 'order' });
  assert.equal(bytes.orderingKey, 'customer-1');
  assert.ok(Math.abs(bytes.publishTime.getTime() - Date.now()) < 60_000);
  assert.equal(bytes.deliveryAttempt, 0);
  assert.deepEqual(JSON.parse(json.data), { id: 7 });
  assert.equal(bare.length, 0);
  assert.equal(bare.attributes.only, 'attributes');
});

test('five hundred messages through batching and flow control', async (pubsub) => {
  const [topic] = await pubsub.createTopic('orders');
  await topic.createSubscription('billing');
  topic.setPublishOptions({ batching: { maxMessages: 50, maxMilliseconds: 10 } });
  const ids = await Promise.all(Array.from({ length: 500 }, (_, n) => topic.publishMessage({ data: Buffer.from(`${n}`) })));
  const subscription = pubsub.subscription('billing', { flowControl: { maxMessages: 20, allowExcessMessages: false } });
  const messages = await collect(subscription, (messages) => messages.length >= 500);
  assert.deepEqual(new Set(messages.map((message) => message.id)), new Set(ids));
  assert.deepEqual(new Set(messages.map((message) => Number(message.data))), new Set(Array.from({ length: 500 }, (_, n) => n)));
});

test('a nacked message comes back, with its attempts counted', async (pubsub) => {
  const [topic] = await pubsub.createTopic('orders');
  const [subscription] = await topic.createSubscription('billing', { deadLetterPolicy: { deadLetterTopic: topic.name, maxDeliveryAttempts: 10 } });
  const id = await topic.publishMessage({ data: Buffer.from('again') });
  const messages = await collect(subscription, (messages) => messages.length === 3, (message, count) => (count < 3 ? message.nack() : message.ack()));
  assert.deepEqual(messages.map((message) => message.id), [id, id, id]);
  assert.deepEqual(messages.map((message) => message.deliveryAttempt), [1, 2, 3]);
});

test('messages of a key come in order', async (pubsub) => {
  const [topic] = await pubsub.createTopic('orders');
  const [subscription] = await topic.createSubscription('billing', { enableMessageOrdering: true });
  topic.setPublishOptions({ messageOrdering: true });
  await Promise.all(Array.from({ length: 40 }, (_, n) => topic.publishMessage({ data: Buffer.from(`${n}`), orderingKey: `k${n % 2}` })));
  const messages = await collect(subscription, (messages) => messages.length === 40);
  for (const key of [0, 1]) {
    const order = messages.filter((message) => message.orderingKey === `k${key}`).map((message) => Number(message.data));
    assert.deepEqual(order, Array.from({ length: 20 }, (_, n) => 2 * n + key));
  }
});

test('exactly once: an acknowledgement is confirmed', async (pubsub) => {
  const [topic] = await pubsub.createTopic('orders');
  const [subscription] = await topic.createSubscription('billing', { enableExactlyOnceDelivery: true });
  await topic.publishMessage({ data: Buffer.from('once') });
  let confirmed;
  await collect(subscription, (messages) => messages.length === 1, (message) => (confirmed = message.ackWithResponse()));
  assert.equal(await within(20_000, 'a confirmation', confirmed), 'SUCCESS');
});

test('the unary calls: pull, acknowledge, modify the deadline', async (pubsub) => {
  const [topic] = await pubsub.createTopic('orders');
  const [subscription] = await topic.createSubscription('billing');
  const client = await subscriberClient(pubsub);
  await topic.publishMessage({ data: Buffer.from('x'), attributes: { kind: 'order' } });
  const pull = async () => (await client.pull({ subscription: subscription.name, maxMessages: 5 }))[0].receivedMessages;
  const [first] = await pull();
  assert.equal(first.message.data.toString(), 'x');
  assert.deepEqual(first.message.attributes, { kind: 'order' });
  await client.modifyAckDeadline({ subscription: subscription.name, ackIds: [first.ackId], ackDeadlineSeconds: 0 });
  const [second] = await pull();
  assert.equal(second.message.messageId, first.message.messageId);
  await client.acknowledge({ subscription: subscription.name, ackIds: [second.ackId] });
  const [left] = await client.pull({ subscription: subscription.name, maxMessages: 5, returnImmediately: true });
  assert.deepEqual(left.receivedMessages, []);
  await refused(INVALID_ARGUMENT, () => client.pull({ subscription: subscription.name, maxMessages: 0 }));
  await refused(INVALID_ARGUMENT, () => client.acknowledge({ subscription: subscription.name, ackIds: ['none of ours'] }));
  await refused(INVALID_ARGUMENT, () => client.modifyAckDeadline({ subscription: subscription.name, ackIds: [second.ackId], ackDeadlineSeconds: 601 }));
});

test('snapshots and seek', async (pubsub, project) => {
  const [topic] = await pubsub.createTopic('orders');
  const [subscription] = await topic.createSubscription('billing', { retainAckedMessages: true });
  await topic.publishMessage({ data: Buffer.from('kept') });
  const [snapshot, created] = await subscription.createSnapshot('before');
  assert.equal(snapshot.name, `projects/${project}/snapshots/before`);
  assert.equal(created.topic, topic.name);
  assert.ok(Number(created.expireTime.seconds) * 1000 > Date.now() + 6 * 86_400_000);
  await refused(ALREADY_EXISTS, () => subscription.createSnapshot('before'));
  assert.deepEqual((await pubsub.getSnapshots())[0].map((found) => found.name), [snapshot.name]);
  const again = async (name) => (await collect(pubsub.subscription(name), () => true)).map((message) => message.data.toString());
  assert.deepEqual(await again('billing'), ['kept']);
  await subscription.seek('before');
  assert.deepEqual(await again('billing'), ['kept']);
  await subscription.seek(new Date(Date.now() - 60_000));
  assert.deepEqual(await again('billing'), ['kept']);
  await snapshot.delete();
  assert.deepEqual((await pubsub.getSnapshots())[0], []);
  await refused(NOT_FOUND, () => snapshot.delete());
  await refused(NOT_FOUND, () => subscription.seek('before'));
});

test('push, and back to pull', async (pubsub) => {
  const requests = [];
  let arrived;
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      requests.push({ url: request.url, body: JSON.parse(Buffer.concat(chunks)) });
      response.writeHead(204).end();
      arrived?.();
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const [topic] = await pubsub.createTopic('orders');
    const [subscription] = await topic.createSubscription('billing');
    await subscription.modifyPushConfig({ pushEndpoint: `http://127.0.0.1:${server.address().port}/push` });
    assert.match((await subscription.getMetadata())[0].pushConfig.pushEndpoint, /\/push$/);
    const one = new Promise((resolve) => (arrived = resolve));
    const id = await topic.publishMessage({ data: Buffer.from('pushed'), attributes: { kind: 'order' } });
    await within(20_000, 'a push', one);
    assert.equal(requests[0].url, '/push');
    assert.equal(requests[0].body.subscription, subscription.name);
    assert.equal(requests[0].body.message.messageId, id);
    assert.equal(Buffer.from(requests[0].body.message.data, 'base64').toString(), 'pushed');
    assert.deepEqual(requests[0].body.message.attributes, { kind: 'order' });
    await subscription.modifyPushConfig({});
    await topic.publishMessage({ data: Buffer.from('pulled') });
    const [message] = await collect(subscription, () => true);
    assert.equal(message.data.toString(), 'pulled');
    assert.equal(requests.length, 1);
  } finally {
    server.close();
  }
});

test('a detached subscription', async (pubsub) => {
  const [topic] = await pubsub.createTopic('orders');
  const [subscription] = await topic.createSubscription('billing');
  await pubsub.detachSubscription('billing');
  assert.deepEqual(await subscription.detached(), [true]);
  assert.deepEqual((await topic.getSubscriptions())[0], []);
  const client = await subscriberClient(pubsub);
  await refused(FAILED_PRECONDITION, () => client.pull({ subscription: subscription.name, maxMessages: 1 }));
});

test('policies of a topic and of a subscription', async (pubsub) => {
  const [topic] = await pubsub.createTopic('orders');
  const [subscription] = await topic.createSubscription('billing');
  for (const resource of [topic, subscription]) {
    const bindings = [{ role: 'roles/editor', members: ['user:ada@example.com'], condition: null }];
    const [written] = await resource.iam.setPolicy({ bindings });
    assert.deepEqual(written.bindings, bindings);
    assert.deepEqual((await resource.iam.getPolicy())[0], written);
    assert.deepEqual((await resource.iam.testPermissions(['pubsub.topics.get']))[0], { 'pubsub.topics.get': true });
  }
});

// Only where `redrive emulator` was started for the suite.
if (process.env.PRINTED) test('the lines that `redrive emulator` prints, pasted', async () => {
  const lines = readFileSync(process.env.PRINTED, 'utf8').split('── Node\n')[1].split('\n── ')[0];
  const pasted = new Function('require', `${lines}\nreturn { pubsub, tasks, jobs };`)(require);
  const parent = 'projects/demo/locations/europe-west1';
  const [topic] = await pasted.pubsub.createTopic('pasted-node');
  assert.equal(topic.name, 'projects/demo/topics/pasted-node');
  const [queue] = await pasted.tasks.createQueue({ parent, queue: { name: `${parent}/queues/pasted-node` } });
  assert.equal(queue.state, 'RUNNING');
  assert.equal(queue.retryConfig.maxAttempts, 100);
  const job = { name: `${parent}/jobs/pasted-node`, schedule: '0 3 * * *', httpTarget: { uri: 'http://127.0.0.1:9/' } };
  assert.equal((await pasted.jobs.createJob({ parent, job }))[0].state, 'ENABLED');
  assert.deepEqual((await pasted.jobs.listJobs({ parent }))[0].map((found) => found.name).filter((name) => name === job.name), [job.name]);
  await Promise.all([pasted.pubsub, pasted.tasks, pasted.jobs].map((client) => client.close()));
});

(async () => {
  let [passed, failed] = [0, 0];
  for (const [name, body] of tests) {
    const project = `node-${randomUUID().slice(0, 8)}`;
    const pubsub = new PubSub({ projectId: project });
    try {
      await within(TEST_MS_MAX, name, body(pubsub, project));
      passed += 1;
      console.log(`ok      ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n${error.stack ?? error}`);
    }
    await pubsub.close().catch(() => {});
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
})();
