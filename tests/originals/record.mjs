// Records what lodash and RxJS do with random scripts, in virtual time. See README.md.
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';

const require = createRequire(process.cwd() + '/');
const lodash = require('lodash');
const rxjs = require('rxjs');
const timers = require('@sinonjs/fake-timers');
const target = process.argv[2];
const SCRIPTS = 2500;

// mulberry32
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const pick = (random, list) => list[Math.floor(random() * list.length)];

function gap(random, wait) {
  const kind = random();
  if (kind < 0.05) return 0;
  if (kind < 0.6) return 1 + Math.floor(random() * wait * 0.6);
  if (kind < 0.7) return wait;
  if (kind < 0.85) return Math.max(1, wait - 3 + Math.floor(random() * 7));
  return wait + Math.floor(random() * wait * 2);
}

// Actions [t, verb]: c call, x cancel, f flush, e end of the source.
function script(random, wait, verbs) {
  const actions = [];
  let t = 0;
  for (let left = 3 + Math.floor(random() * 20); left > 0; left--) {
    t += gap(random, wait);
    actions.push([t, random() < 0.88 ? 'c' : pick(random, verbs)]);
  }
  if (verbs.includes('e')) {
    while (actions.length && actions.some(([, verb]) => verb === 'e')) actions.splice(actions.findIndex(([, verb]) => verb === 'e'), 1);
    if (random() < 0.5) actions.push([t + gap(random, wait), 'e']);
  }
  return actions;
}

// Timers of an instant come before its actions.
function play(actions, make) {
  const clock = timers.install({ now: 1_000_000_000_000 });
  const began = Date.now();
  const out = [];
  const it = make((n) => out.push(`${Date.now() - began}:${n}`), () => out.push(`${Date.now() - began}:end`));
  let n = 0;
  for (const [t, verb] of actions) {
    clock.tick(began + t - Date.now());
    if (verb === 'c') it.call(++n);
    else it[verb]();
  }
  clock.tick(10_000_000);
  clock.uninstall();
  return out;
}

function record(name, seed, verbs, config, make) {
  const random = generator(seed);
  const lines = [`# ${name}, seed ${seed}: wait leading trailing max_wait | script | starts`];
  for (let i = 0; i < SCRIPTS; i++) {
    const wait = pick(random, [10, 31, 50, 100, 300]);
    const settings = config(random, wait);
    const actions = script(random, wait, verbs);
    const out = play(actions, (emit, end) => make(wait, settings, emit, end));
    const { leading = 0, trailing = 1, maxWait = '-' } = settings;
    lines.push(`${wait} ${+leading} ${+trailing} ${maxWait} | ${actions.map(([t, verb]) => t + verb).join(' ')} | ${out.join(' ')}`);
  }
  writeFileSync(`${target}/${name}.txt`, lines.join('\n') + '\n');
}

const EDGES = [{ leading: 0, trailing: 1 }, { leading: 1, trailing: 0 }, { leading: 1, trailing: 1 }];
const edges = (random) => pick(random, EDGES);

record('lodash-debounce', 1, ['x', 'f'],
  (random, wait) => {
    const most = pick(random, [undefined, 1, 1.5, 3, 10]);
    return most ? { ...edges(random), maxWait: Math.floor(wait * most) } : edges(random);
  },
  (wait, { leading, trailing, maxWait }, emit) => {
    const options = { leading: !!leading, trailing: !!trailing };
    if (maxWait !== undefined) options.maxWait = maxWait;
    const call = lodash.debounce(emit, wait, options);
    return { call, x: () => call.cancel(), f: () => call.flush() };
  });

record('lodash-throttle', 2, ['x', 'f'], edges, (wait, { leading, trailing }, emit) => {
  const call = lodash.throttle(emit, wait, { leading: !!leading, trailing: !!trailing });
  return { call, x: () => call.cancel(), f: () => call.flush() };
});

function stream(operator) {
  return (wait, settings, emit, end) => {
    const source = new rxjs.Subject();
    source.pipe(operator(wait, settings)).subscribe({ next: emit, complete: end });
    return { call: (n) => source.next(n), e: () => source.complete() };
  };
}

record('rxjs-debounce-time', 3, ['e'], () => ({}), stream((wait) => rxjs.debounceTime(wait)));
record('rxjs-audit-time', 4, ['e'], () => ({}), stream((wait) => rxjs.auditTime(wait)));
record('rxjs-throttle-time', 5, ['e'], edges, stream((wait, { leading, trailing }) =>
  rxjs.throttleTime(wait, rxjs.asyncScheduler, { leading: !!leading, trailing: !!trailing })));
