"""The page's HTML and style: a Jinja template, here so that the fingerprint of the rule knows its edits."""

STYLE = """
:root { --ink: #1b2430; --soft: #5b6675; --line: #d9dee5; --paper: #fff; --shade: #f4f6f9;
  --good: #0b6e4f; --warn: #8a5a00; --bad: #b3261e; }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--shade); }
header { background: #14213d; color: #fff; padding: 18px 16px; }
header h1 { margin: 0; font-size: 22px; }
header p { margin: 4px 0 0; color: #cdd6e4; }
nav { position: sticky; top: 0; z-index: 1; display: flex; gap: 4px 14px; overflow-x: auto; padding: 8px 16px;
  background: #fff; border-bottom: 1px solid var(--line); white-space: nowrap; }
nav a { color: #1d4e89; text-decoration: none; }
main { max-width: 1360px; margin: 0 auto; padding: 0 12px 40px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; margin: 14px 0;
  padding: 12px 16px; scroll-margin-top: 48px; }
h2 { font-size: 18px; margin: 0 0 6px; }
h3 { font-size: 15px; margin: 16px 0 4px; }
p { margin: 4px 0 10px; color: var(--soft); max-width: 78ch; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap;
  vertical-align: middle; }
th { background: var(--shade); font-weight: 600; font-size: 13px; white-space: normal; }
th.sort { cursor: pointer; }
td.text, th.text { text-align: left; }
td.long { white-space: normal; min-width: 220px; max-width: 560px; text-align: left; color: var(--soft);
  font-size: 13px; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); font-weight: 600; }
.none { color: var(--soft); }
.remark { display: block; font-size: 11px; font-weight: 400; color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 10px; }
.card { border: 1px solid var(--line); border-left-width: 5px; border-radius: 6px; padding: 8px 12px; }
.card b { display: block; font-size: 21px; white-space: pre-wrap; }
.card.small b { font-size: 15px; line-height: 1.4; padding-top: 5px; }
.card span { font-size: 12px; color: var(--soft); }
.card.good { border-left-color: var(--good); } .card.warn { border-left-color: var(--warn); }
.card.bad { border-left-color: var(--bad); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 12px; }
svg.chart { width: 100%; height: auto; background: #fff; font: 11px system-ui, sans-serif; fill: var(--soft); }
svg.chart .title { font-weight: 600; fill: var(--ink); font-size: 12px; }
svg.chart .tick { text-anchor: end; }
svg.chart .grid { stroke: #e6eaf0; fill: none; }
svg.chart .night { stroke: #b7c0cc; stroke-dasharray: 3 3; fill: none; }
svg.whiskers { width: 64px; height: 64px; background: var(--shade); display: block; }
svg.whiskers path { stroke: #1d4e89; stroke-width: 1.6; fill: none; }
.key svg { width: 14px; height: 14px; vertical-align: -2px; } .key span { margin-right: 14px; }
img { max-width: 100%; height: auto; display: block; }
.dark { background: #000; padding: 4px; border-radius: 4px; text-align: center; }
.dark img { margin: 0 auto; max-height: 80vh; }
.triplets { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 280px), 1fr)); gap: 14px; }
details > summary { cursor: pointer; padding: 6px 0; color: #1d4e89; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, monospace; margin: 0; }
@media (max-width: 500px) { section { padding: 10px; } th, td { padding: 4px 7px; } }
"""

SCRIPT = """
for (const head of document.querySelectorAll("table.sortable th.sort")) {
  head.addEventListener("click", () => {
    const table = head.closest("table"), body = table.tBodies[0];
    const column = [...head.parentNode.children].indexOf(head);
    const sign = head.dataset.sign === "1" ? -1 : 1;
    head.dataset.sign = sign;
    const key = (row) => { const text = row.cells[column].textContent.trim();
      const number = parseFloat(text); return Number.isNaN(number) ? text : number; };
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort((a, b) => typeof a[0] === typeof b[0] ? (a[0] < b[0] ? -sign : a[0] > b[0] ? sign : 0)
      : typeof a[0] === "number" ? -1 : 1);
    body.append(...rows.map((row) => row[1]));
  });
}
"""

MACROS = """{% macro survey_table(rows, columns, limit_head) %}
<div class="scroll"><table>
<thead><tr><th class="text">metric</th><th class="text">unit</th>
{% for band in columns %}<th>{{ band }}</th>{% endfor %}
{% if limit_head %}<th>{{ limit_head }}</th>{% endif %}<th class="text">definition</th></tr></thead>
<tbody>
{% for row in rows %}
<tr><td class="text"><b>{{ row.name }}</b></td><td class="text">{{ row.unit }}</td>
{% for band in columns %}
{% if band in row.cells %}
{% set cell = row.cells[band] %}
<td class="{{ cell[1] }}">{{ cell[0] }}<span class="remark">{{ cell[2] }}</span></td>
{% else %}<td></td>{% endif %}
{% endfor %}
{% if limit_head %}<td>{{ row.limit or row.bounds }}</td>{% endif %}
<td class="long">{{ row.description }}</td></tr>
{% endfor %}
</tbody></table></div>
{% endmacro %}
{% macro visit_table(rows) %}
<div class="scroll"><table class="sortable">
<thead><tr><th class="sort text">visit</th><th class="sort text">band</th><th class="sort text">status</th>
<th>PSF shape</th><th class="sort">MJD</th>
{% for head in visit_heads %}<th class="sort">{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr><td class="text">{{ row.visit }}</td><td class="text">{{ row.band }}</td>
<td class="text {{ row.level }}">{{ row.status }}</td><td>{{ row.whiskers | safe }}</td><td>{{ row.mjd }}</td>
{% for cell in row.cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% endmacro %}
{% macro plain_table(heads, rows) %}
<div class="scroll"><table>
<thead><tr>
{% for head in heads %}<th{% if loop.first %} class="text"{% endif %}>{{ head }}</th>{% endfor %}
</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for cell in row %}<td{% if loop.first %} class="text"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% endmacro %}
"""

BODY = """
<header><h1>{{ survey }}: what the run achieved</h1>
<p>Every number here is also a row of metrics.parquet and metrics.tsv beside this page, those of the machine of
machine.tsv.</p></header>
<nav><a href="#headline">Headline</a><a href="#requirements">Requirements</a>
{% if truth %}<a href="#truth">Truth</a>{% endif %}
<a href="#visits">Visits</a><a href="#time">Time</a><a href="#calibs">Calibrations</a><a href="#coadds">Coadds</a>
<a href="#differences">Differences</a><a href="#machine">Machine</a><a href="#methods">Methods</a></nav>
<main>
<section id="headline"><h2>Headline</h2>
<div class="cards">
{% for title, text, level in headline.cards %}
<div class="card {{ level }}"><span>{{ title }}</span><b>{{ text }}</b></div>
{% endfor %}
</div>
<h3>Failures by reason</h3>
{% if headline.failures %}
<div class="scroll"><table><thead><tr><th class="text">step</th><th class="text">reason</th><th>detectors</th>
<th class="text">example</th></tr></thead><tbody>
{% for step, reason, number, example in headline.failures %}
<tr><td class="text">{{ step }}</td><td class="text bad">{{ reason }}</td><td>{{ number }}</td>
<td class="long">{{ example }}</td></tr>
{% endfor %}
</tbody></table></div>
{% else %}<p>No detector was lost.</p>{% endif %}
<h3>Metrics outside their bounds</h3>
{% if headline.alarms %}
<div class="scroll"><table><thead><tr><th class="text">metric</th><th class="text">band</th><th>value</th>
<th class="text">unit</th><th>bounds</th><th class="text">definition</th></tr></thead><tbody>
{% for name, band, value, unit, bounds, description in headline.alarms %}
<tr><td class="text bad">{{ name }}</td><td class="text">{{ band }}</td><td>{{ value }}</td>
<td class="text">{{ unit }}</td><td>{{ bounds }}</td><td class="long">{{ description }}</td></tr>
{% endfor %}
</tbody></table></div>
{% else %}<p>None.</p>{% endif %}
</section>

<section id="requirements"><h2>Requirements of the LSST (LPM-17)</h2>
<p>The design and minimum specifications are those of a ten-year survey with a mosaic of 3.5 degrees; a dash means that
this run has nothing to measure the metric with. Few stars or visits leave the error large.</p>
{{ survey_table(requirements, bands, "design / minimum") }}
</section>

{% if truth %}
<section id="truth"><h2>Completeness, purity and accuracy against the truth</h2>
<p>The survey was simulated, so that the true sources are known.</p>
{{ survey_table(truth, bands + ["all"], "bounds") }}
</section>
{% endif %}

<section id="visits"><h2>Visits, worst first</h2>
<p>Those that lost most detectors come first, then those furthest on the bad side of their band's median. A click on a
head sorts. The lines show the PSF's long axis over the focal plane, North up, East left; a line of a third of the
square is |e| = 0.1.</p>
{{ visit_table(visits) }}
{% if more_visits %}
<details><summary>{{ more_visits | length }} more visits</summary>{{ visit_table(more_visits) }}</details>
{% endif %}
</section>

<section id="time"><h2>The nights in time</h2>
<p>Nights stand side by side; a pointer on a mark is told its visit. Between the exposures of a night pass
{{ gaps[0] }} s in the median, {{ gaps[1] }} s at most.</p>
<p class="key">{% for band in bands %}<span><svg viewBox="-5 -5 10 10"><path class="b-{{ band }}"
d="{{ shapes.get(band, other_shape) }}"/></svg> {{ band }}</span>{% endfor %}</p>
<div class="charts">{% for chart in charts %}<div>{{ chart | safe }}</div>{% endfor %}</div>
<h3>Astrometric residuals</h3>
<img src="{{ pictures.astrometric_residuals }}" loading="lazy" alt="Map of the astrometric residuals">
</section>

<section id="calibs"><h2>Calibrations</h2>
{% if calibs %}
{{ plain_table(["epoch/kind/band/detector", "age [d]", "frames", "level", "scatter", "bad fraction"], calibs) }}
<p>The age is the longest time to a visit that takes it. Levels are electrons (bias), electrons a second (dark, defects)
and response (flat).</p>
{% else %}<p>The survey has no calibration frames.</p>{% endif %}
</section>

<section id="coadds"><h2>Deep coadds</h2>
<div class="dark"><img src="{{ pictures.colour_coadd }}" loading="lazy" alt="Colour coadd of the first tract"></div>
{{ survey_table(coadd_summary, bands, "bounds") }}
<details><summary>Each of the {{ coadds | length }} coadds that were looked at</summary>
{{ plain_table(["band/tract/patch", "depth [mag]", "coverage", "visits", "noise / propagated"], coadds) }}
</details>
</section>

<section id="differences"><h2>Differences</h2>
{{ survey_table(differences, bands, "bounds") }}
<p>Science, template and difference of DIA sources.</p>
<div class="triplets">
<div><h3>Best: from the brightest to S/N 10</h3>
<img src="{{ pictures.difference_triplets }}" loading="lazy" alt="Triplets of the best DIA sources"></div>
<div><h3>Random: any</h3>
<img src="{{ pictures.random_triplets }}" loading="lazy" alt="Triplets of random DIA sources"></div>
<div><h3>Worst: fitted worst by the PSF</h3>
<img src="{{ pictures.worst_triplets }}" loading="lazy" alt="Triplets of the DIA sources with the worst PSF fits"></div>
</div>
</section>

<section id="machine"><h2>Machine</h2>
{% if machine.rule %}
{{ plain_table(["rule", "jobs", "wall [s]", "longest [s]", "CPU [s]", "peak [MB]"], machine.rule) }}
<details><summary>The longest jobs</summary>
{{ plain_table(["job", "jobs", "wall [s]", "longest [s]", "CPU [s]", "peak [MB]"], machine.job) }}
</details>
<p>From Snakemake's benchmark files, this page's own job apart; jobs shorter than its sampling tell no memory.</p>
{% else %}<p>There are no benchmark files.</p>{% endif %}
</section>

<section id="methods"><h2>What this run used</h2>
<p>The same text is in methods.md, BibTeX in citations.bib.</p>
<pre>{{ methods }}</pre>
</section>
</main>
"""

TEMPLATE = (
    MACROS
    + """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{{ survey }}: report</title><link rel="icon" href="data:,">
<style>"""
    + STYLE
    + """
{% for band, colour in colours.items() %}
.b-{{ band }} { fill: {{ colour }}; }
{% endfor %}
</style></head><body>
"""
    + BODY
    + "<script>"
    + SCRIPT
    + "</script></body></html>\n"
)
