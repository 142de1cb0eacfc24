// Records what p-throttle and Bottleneck do with random calls, in virtual time. See README.md.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { writeFileSync } from 'node:fs';

const require = createRequire(process.cwd() + '/');
const { default: pThrottle } = await import(pathToFileURL(process.cwd() + '/node_modules/p-throttle/index.js'));
const Bottleneck = require('bottleneck');
const timers = require('@sinonjs/fake-timers');
const target = process.argv[2];
const SCRIPTS = 500;

// mulberry32
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const below = (random, n) => Math.floor(random() * n);
const pick = (random, list) => list[below(random, list.length)];

function gap(random, per, limit) {
  const kind = random();
  if (kind < 0.35) return 0;
  if (kind < 0.7) return 1 + below(random, per / limit);
  if (kind < 0.8) return per;
  if (kind < 0.9) return Math.max(0, per - 2 + below(random, 5));
  return per + below(random, per * 2);
}

// Calls [t, n], at least one.
function calls(random, per, limit, weighted) {
  let t = 0;
  return Array.from({ length: 3 + below(random, 15) }, () => {
    t += gap(random, per, limit);
    return [t, weighted ? 1 + below(random, limit) : 1];
  });
}

// Timers of an instant come before its calls.
async function play(script, make) {
  const clock = timers.install({ now: 1_000_000_000_000 });
  const began = Date.now();
  const starts = [];
  const call = make();
  for (const [index, [t, n]] of script.entries()) {
    await clock.tickAsync(began + t - Date.now());
    call(() => (starts[index] = Date.now() - began), n);
    await clock.tickAsync(0);
  }
  await clock.tickAsync(100_000);
  clock.uninstall();
  return starts;
}

async function record(name, seed, pers, weighted, make) {
  const random = generator(seed);
  const lines = [`# ${name}, seed ${seed}: permits per | calls | starts`];
  for (let i = 0; i < SCRIPTS; i++) {
    const [limit, per] = [pick(random, [1, 2, 3, 5]), pick(random, pers)];
    const script = calls(random, per, limit, weighted);
    const starts = await play(script, () => make(limit, per));
    lines.push(`${limit} ${per} | ${script.map(([t, n]) => `${t}:${n}`).join(' ')} | ${starts.join(' ')}`);
  }
  writeFileSync(`${target}/${name}.txt`, lines.join('\n') + '\n');
}

const pThrottled = (options) => (limit, interval) => {
  const throttled = pThrottle({ limit, interval, ...options })((start) => start());
  return (start, n) => void throttled(start, n);
};
const weight = (_start, n) => n;

await record('p-throttle-windowed', 11, [10, 31, 100], true, pThrottled({ weight }));
await record('p-throttle-strict', 12, [10, 31, 100], false, pThrottled({ strict: true }));
await record('p-throttle-strict-weighted', 13, [10, 31, 100], true, pThrottled({ strict: true, weight }));

// Of a limit and a period only the pace is used.
await record('bottleneck-min-time', 14, [10, 31, 100], false, (limit, per) => {
  const limiter = new Bottleneck({ minTime: Math.ceil(per / limit) });
  return (start) => void limiter.schedule(async () => start());
});

await record('bottleneck-reservoir', 15, [250, 500, 1000], true, (limit, per) => {
  const limiter = new Bottleneck({ reservoir: limit, reservoirRefreshAmount: limit, reservoirRefreshInterval: per });
  return (start, n) => void limiter.schedule({ weight: n }, async () => start());
});
