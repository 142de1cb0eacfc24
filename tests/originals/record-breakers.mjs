// Records what cockatiel's circuit breakers do with random calls, in virtual time. See README.md.
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';

const require = createRequire(process.cwd() + '/');
const { circuitBreaker, handleAll, ConsecutiveBreaker, CountBreaker, SamplingBreaker, CircuitState } = require('cockatiel');
const timers = require('@sinonjs/fake-timers');
const target = process.argv[2];

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

// A breaker with its settings as they are written.
const KINDS = {
  consecutive(random) {
    const threshold = 1 + below(random, 4);
    return { written: `${threshold}`, breaker: new ConsecutiveBreaker(threshold) };
  },
  count(random) {
    const [percent, size] = [pick(random, [20, 25, 40, 50, 60, 75]), 1 + below(random, 12)];
    const minimumNumberOfCalls = 1 + below(random, size);
    const breaker = new CountBreaker({ threshold: percent / 100, size, minimumNumberOfCalls });
    return { written: `${percent} ${minimumNumberOfCalls} ${size}`, breaker };
  },
  sampling(random) {
    const [percent, duration] = [pick(random, [20, 25, 40, 50, 60, 75]), 500 * (1 + below(random, 6))];
    const calls = 1 + below(random, 6);
    const breaker = new SamplingBreaker({ threshold: percent / 100, duration, minimumRps: (calls / duration) * 1000 });
    return { written: `${percent} ${calls} ${duration}`, breaker };
  },
};

function gap(random, openFor) {
  const kind = random();
  if (kind < 0.1) return 0;
  if (kind < 0.7) return 1 + below(random, openFor / 5);
  if (kind < 0.8) return openFor;
  if (kind < 0.9) return Math.max(0, openFor - 2 + below(random, 5));
  return openFor + below(random, openFor * 3);
}

// Ends of an instant come before its calls. None comes while a probe is under way: there they would wait for it.
async function play(random, { written, breaker }) {
  const clock = timers.install({ now: 1_000_000_000_000 });
  const began = Date.now();
  const openFor = pick(random, [100, 300, 1000]);
  const failing = random();
  const policy = circuitBreaker(handleAll, { halfOpenAfter: openFor, breaker });
  const [calls, outcomes, states] = [[], [], []];
  policy.onStateChange((state) => {
    states.push(`${Date.now() - began}${{ [CircuitState.Closed]: 'c', [CircuitState.Open]: 'o', [CircuitState.HalfOpen]: 'h' }[state]}`);
  });
  for (let left = 4 + below(random, 26); left > 0; left--) {
    await clock.tickAsync(gap(random, openFor));
    if (policy.state === CircuitState.HalfOpen) continue;
    const takes = random() < 0.6 ? 0 : 1 + below(random, openFor * 2);
    const fails = random() < failing;
    const index = calls.push(`${Date.now() - began}:${takes}${fails ? 'f' : 's'}`) - 1;
    outcomes[index] = 'x';
    const run = () => {
      outcomes[index] = '.';
      const end = (resolve, reject) => (fails ? reject(new Error('down')) : resolve());
      return new Promise((resolve, reject) => (takes ? setTimeout(() => end(resolve, reject), takes) : end(resolve, reject)));
    };
    policy.execute(run).catch(() => {});
    await clock.tickAsync(0);
  }
  await clock.tickAsync(1_000_000);
  clock.uninstall();
  return `${written} ${openFor} | ${calls.join(' ')} | ${outcomes.join('')} | ${states.join(' ')}`;
}

const lines = ['# kind settings open_for | calls | which ran | states'];
for (const [kind, count] of [['consecutive', 500], ['count', 300], ['sampling', 500]]) {
  for (let n = 0; n < count; n++) {
    const random = generator(n * 7919 + kind.length);
    lines.push(`${kind} ${await play(random, KINDS[kind](random))}`);
  }
}
writeFileSync(`${target}/cockatiel.txt`, lines.join('\n') + '\n');
