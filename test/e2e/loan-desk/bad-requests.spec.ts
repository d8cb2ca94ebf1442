import { describe, expect, it } from '@jest/globals';
import { useLoanDesk } from './use-loan-desk.ts';

const { http, submit } = useLoanDesk();

describe('a request', () => {
  const json = (body: string) =>
    http().post('/applications').set('Content-Type', 'application/json').send(body);

  it.each([
    ['no JSON', '{"amount":'],
    ['null', 'null'],
    ['a number', '5'],
    ['a list', '[{"amount":5000}]'],
    ['a key with NUL', '{"amount":5000,"\\u0000":1}'],
    ['a lone surrogate', '{"amount":5000,"submittedAt":"\\ud800"}'],
    ['1e400', '{"amount":1e400}'],
    ['2^53 + 1', '{"amount":9007199254740993}'],
    ['a time that is too long', `{"amount":1,"submittedAt":"${'1'.repeat(50_000)}"}`],
    ['a depth of 10,000', `{"amount":${'['.repeat(10_000)}${']'.repeat(10_000)}}`],
  ])('with %s as its body is answered with 400', async (_, body) => {
    const response = await json(body).expect(400);
    expect(response.body.message).not.toHaveLength(0);
  });

  it('with keys of Object.prototype in its body pollutes nothing, because Nest drops them', async () => {
    const keys = '"__proto__":{"amount":1},"constructor":{"prototype":{"amount":2}}';
    const { body } = await json(`{"amount":5000,${keys}}`).expect(201);
    expect(body).toMatchObject({ amount: 5000, version: 1 });
    expect({}).not.toHaveProperty('amount');
  });

  it('with a body of a megabyte is answered with 413', async () => {
    await json(`{"amount":1,"note":"${'x'.repeat(2 ** 20)}"}`).expect(413);
  });

  it.each([
    'get /applications/%00',
    'get /applications/%ED%A0%80',
    'get /applications/%E0%A4%A',
    'get /applications/__proto__%0A',
    'get /applications/%F0%9F%92%B6/events',
    "get /applications/';DROP SCHEMA loan_desk CASCADE;--/letters",
    `get /applications/${'x'.repeat(6_000)}`,
    'get /applications/nobody/events?after=-1',
    'get /applications/nobody/events?after=9007199254740993',
    'get /applications/nobody/events?after=0&after=1',
    'get /applications/nobody/events?limit=NaN',
    'post /applications/nobody/constructor',
    'post /applications/nobody/__proto__',
    'post /applications/nobody/offers/toString',
    'post /applications/nobody/work-items/__proto__/start',
    'post /applications/nobody/work-items/change-contract/hasOwnProperty',
  ])('to %s is answered with 400', async (line) => {
    const [method, ...path] = line.split(' ');
    const send = method === 'get' ? http().get.bind(http()) : http().post.bind(http());
    await send(path.join(' ').replaceAll(' ', '%20')).expect(400);
  });

  it.each([
    ['If-Match', '"9007199254740993"'],
    ['If-Match', '"1e3"'],
    ['Idempotency-Key', '__proto__'],
    ['Event-Position', '9007199254740993'],
  ])('with %s: %s is answered with 400', async (header, value) => {
    const id = await submit();
    const sent =
      header === 'Event-Position'
        ? http().get(`/applications/${id}`)
        : http().post(header === 'If-Match' ? `/applications/${id}/accept` : '/applications');
    await sent
      .set(header, value)
      .send(header === 'Idempotency-Key' ? { amount: 1, submittedAt: '2026-03-01T09:00:00Z' } : {})
      .expect(400);
  });

  it('may name any actor that a header can carry, and the name is stored unchanged', async () => {
    const id = await submit();
    const actor = '\'; DROP TABLE "domain_events"; -- ÿ __proto__ \\u0000';
    await http().post(`/applications/${id}/partly-submit`).set('X-Actor', actor).expect(200);
    const { body } = await http().get(`/applications/${id}/events?after=1`).expect(200);
    expect(body[0].metadata.actor).toBe(actor);
  });
});
