// The tables of trials.

/** Why a trial cannot be made here, or nothing. */
export function lacking({ needs }) {
  if (needs === undefined) return undefined;
  if (needs === 'boot clock') return process.arch === 'x64' ? undefined : 'tests/lib/vdso-clock.c is for x86_64 alone';
  if (process.getuid() !== 0) return 'only root can do this';
  // Elsewhere everybody's packets would be lost.
  if (needs === 'network' && process.env.TEST_NETWORK !== 'own') return 'needs a network of its own, as scripts/cluster makes one';
  return undefined;
}

/** One line a trial. */
export function report(rows) {
  const head = ['fault', 'logins', 'renewals', 'ends', 'verifications', 'unanswered', 'refuse: last accepted p50', 'p99', 'max after the end', 'until_expiry: max', 'store reads/1000', 'broken'];
  const lines = rows.map((row) => (row.skipped ? [row.name, row.skipped] : line(row)));
  const widths = head.map((title, at) => Math.max(title.length, ...lines.filter((line) => line.length > 2).map((line) => line[at].length)));
  return [head, ...lines].map((line) => line.map((cell, at) => cell.padEnd(widths[at])).join('  ').trimEnd()).join('\n');
}

/** One line a scenario. */
export function reportScenarios(played) {
  const rows = played.map(({ name, findings, seconds, broken, skipped }) => [
    name,
    ...(skipped ? ['', '', skipped] : [findings.join(' '), `${Math.round(seconds)} s`, broken ? 'broken' : 'held']),
  ]);
  const head = ['scenario', 'stands for', 'took', ''];
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((cells) => cells[at].length)));
  return [head, ...rows].map((cells) => cells.map((cell, at) => cell.padEnd(widths[at])).join('  ').trimEnd()).join('\n');
}

function line({ name, counts, ends, reads, spells, violations }) {
  const yes = (kind) => String(counts[kind]?.yes ?? 0);
  const sorted = [...ends.refuse].sort((one, other) => one - other);
  const quantile = (share) => `${Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)} ms`;
  const verifications = Object.values(counts.verify ?? {}).reduce((sum, count) => sum + count, 0);
  const unanswered = spells.filter(({ unanswered }) => unanswered).map(({ name, asked, unanswered }) => `${((100 * unanswered) / asked).toFixed(1)} % while ${name}`);
  const perThousand = ((1000 * reads.source) / Math.max(1, reads.source + reads.cache)).toFixed(1);
  return [name, yes('login'), yes('refresh'), yes('end'), String(verifications), unanswered.join(', ') || '0', quantile(0.5), quantile(0.99), quantile(1), `${Math.round(Math.max(0, ...ends.until_expiry))} ms`, perThousand, String(violations.length)];
}
