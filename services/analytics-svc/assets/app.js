// Shows what /api/live tells. Whatever comes from there is put on the page as text, never as markup: the page's policy would not allow it.
'use strict';

const root = document.documentElement;
const { currency, timeZone, open } = root.dataset;
// The words are English, so are the numbers and dates: in the visitor's own kind of English, if they have one.
const locale = navigator.languages.find((tag) => tag === 'en' || tag.startsWith('en-')) ?? 'en-GB';
const moneyFormat = new Intl.NumberFormat(locale, { style: 'currency', currency });
const roughFormat = new Intl.NumberFormat(locale, { style: 'currency', currency, notation: 'compact', maximumFractionDigits: 1 });
const countFormat = new Intl.NumberFormat(locale);
const format = (options) => new Intl.DateTimeFormat(locale, options);
const hourFormat = format({ timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const clockFormat = format({ timeZone, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const momentFormat = format({ timeZone, day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const dayKeyFormat = new Intl.DateTimeFormat('sv-SE', { timeZone });
const longDayFormat = format({ timeZone: 'UTC', weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const shortDayFormat = format({ timeZone: 'UTC', day: 'numeric', month: 'short' });
const weekdayFormat = format({ timeZone: 'UTC', weekday: 'short', day: 'numeric', month: 'short' });

const STALE_AFTER_MS = 12_000;
const RETRY_MS = [1000, 2000, 5000, 10_000];
const NEWS_EVERY_MS = 30_000;

const $ = (selector, within = document) => within.querySelector(selector);
const el = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const ofDay = (day) => new Date(`${day}T12:00:00Z`);
// An amount comes as exact text; only bars are made of floating numbers.
const money = (amount) => moneyFormat.format(amount);
const plural = (count, word) => `${countFormat.format(count)} ${word}${count === 1 ? '' : 's'}`;
const hourOf = (at) => {
  const from = new Date(at);
  return `${hourFormat.format(from)}–${hourFormat.format(new Date(from.getTime() + 3_600_000))}`;
};

const state = { day: null, source: null, failures: 0, retry: 0, heardAt: 0, clockOffset: 0, watermark: null, isToday: true, newsAt: 0, shownOrders: null };
const serverNow = () => Date.now() + state.clockOffset;
const todayKey = () => dayKeyFormat.format(serverNow());

// Panels.

const note = (panel, kind, ...content) => {
  const line = $('.note', panel);
  line.hidden = content.length === 0;
  line.dataset.kind = kind;
  line.replaceChildren(...content);
};

const fault = (panel, error) => {
  const words = error.reason === 'NOT_MATERIALIZED_YET' ? 'Nothing has been counted yet: the first sale will show here.' : `Not known at the moment: ${error.message}.`;
  note(panel, error.reason === 'NOT_MATERIALIZED_YET' ? 'empty' : 'fault', words);
};

const rows = (panel, list) => {
  const table = $('table', panel);
  table.hidden = list.length === 0;
  $('tbody', table).replaceChildren(...list);
};

const cell = (text, className = '') => el('td', { className }, text);
const head = (...content) => el('th', { scope: 'row' }, ...content);

const periodWords = (isToday) => ({
  day: isToday ? ['Today', 'yesterday'] : ['This day', 'the day before'],
  week: isToday ? ['This week', 'same days last week'] : ['Its week so far', 'same days of the week before'],
  month: isToday ? ['This month', 'same days last month'] : ['Its month so far', 'same days of the month before'],
});

const charts = {};

const show = {
  sales(panel, data) {
    state.watermark = data.watermark;
    state.isToday = data.is_today;
    $('#title').textContent = longDayFormat.format(ofDay(data.day));
    document.title = `${money(data.periods[0].amount)} · Bramble`;
    $('#day').value = data.day;
    $('#later').disabled = $('#today').disabled = data.is_today;
    const words = periodWords(data.is_today);
    for (const period of data.periods) {
      const [title, before] = words[period.name];
      const box = $(`#period-${period.name}`);
      $('dt', box).textContent = title;
      $('.big', box).textContent = money(period.amount);
      const [orders, earlier] = box.querySelectorAll('.sub');
      orders.textContent = plural(period.orders, 'order');
      earlier.textContent = `${money(period.before_amount)} ${before}`;
    }
    note(panel, 'empty');
    if (data.periods[0].orders === 0) {
      const words = data.is_today ? 'Nothing sold yet today.' : 'Nothing was sold on this day.';
      const way = data.newest_day && data.newest_day !== data.day
        ? [' ', el('button', { type: 'button', onclick: () => go(data.newest_day) }, `Go to the last sale, ${longDayFormat.format(ofDay(data.newest_day))}`)]
        : [];
      note(panel, 'empty', words, ...way);
    }
    const hours = data.hours.map((bar) => ({ ...bar, label: hourOf(bar.at), tick: hourFormat.format(new Date(bar.at)).slice(0, 2) }));
    const days = data.days.map((bar) => ({ ...bar, label: weekdayFormat.format(ofDay(bar.at)), tick: shortDayFormat.format(ofDay(bar.at)) }));
    draw('hours', hours);
    draw('days', days);
    tell(`Sales ${data.is_today ? 'today' : 'of the day'}: ${money(data.periods[0].amount)} in ${plural(data.periods[0].orders, 'order')}.`);
    showWatermark();
  },

  receivables(panel, data) {
    const total = $('.big', panel);
    if (data.as_of === null) {
      total.textContent = '–';
      rows(panel, []);
      note(panel, 'empty', 'Nothing has been counted for this day.');
      return;
    }
    note(panel, 'empty');
    total.textContent = money(data.total);
    const most = Math.max(...data.buckets.map((bucket) => Number(bucket.amount)), 0.01);
    rows(panel, data.buckets.map((bucket) => {
      const words = bucket.from_day === null ? 'Not due yet' : bucket.to_day === null ? `Over ${bucket.from_day - 1} days late` : `${bucket.from_day}–${bucket.to_day} days late`;
      const share = el('span', { className: 'share' });
      share.style.width = `${Math.max(0, Number(bucket.amount) / most) * 100}%`;
      const bar = cell('', 'wide');
      bar.append(share);
      bar.setAttribute('aria-hidden', 'true');
      return el('tr', {}, head(words), bar, cell(money(bucket.amount), 'n'));
    }));
  },

  stock(panel, data) {
    const more = data.count - data.items.length;
    note(panel, 'empty');
    if (data.count === 0) {
      note(panel, 'empty', 'Nothing is at or below its reorder point.');
    } else if (more > 0) {
      const among = data.is_all ? `of ${countFormat.format(data.count)} that are low` : `among the first ${countFormat.format(data.count)}; more are low`;
      note(panel, 'empty', `The ${data.items.length} furthest below their reorder point, ${among}.`);
    }
    rows(panel, data.items.map((item) => el('tr', {},
      head(item.name, ' ', el('span', { className: 'code' }, item.sku)),
      cell(countFormat.format(item.available), item.available <= 0 ? 'n bad' : 'n'),
      cell(countFormat.format(item.reorder_point), 'n'))));
  },

  orders(panel, data) {
    note(panel, 'empty');
    if (data.orders.length === 0) {
      note(panel, 'empty', 'No order was placed yet.');
    }
    const known = state.shownOrders;
    rows(panel, data.orders.map((order) => {
      const isNew = known !== null && !known.has(order.order_id);
      return el('tr', { className: isNew ? 'fresh' : '' },
        head(when(order.placed_at)),
        el('td', { className: 'code', title: order.order_id }, order.order_id.slice(-8)),
        cell(order.status + (order.paid && order.status !== 'completed' ? ', paid' : '')),
        cell(money(order.total), 'n'));
    }));
    state.shownOrders = new Set(data.orders.map((order) => order.order_id));
  },

  fleet(panel, data) {
    note(panel, 'empty');
    const words = { serving: ['ready', 'good'], not_ready: ['not ready', 'warn'], away: ['away', 'bad'] };
    rows(panel, data.services.flatMap((service) => {
      const [word, className] = words[service.state];
      const behind = service.consumers.filter((consumer) => consumer.behind === null || consumer.behind > 0);
      const late = behind.map((consumer) => `${consumer.behind === null ? '?' : countFormat.format(consumer.behind)} ${consumer.source}`);
      const aside = service.consumers.reduce((sum, consumer) => sum + consumer.dead_letters, service.set_aside ?? 0);
      const waiting = service.relay ? countFormat.format(service.relay.waiting) : '–';
      const isKnown = service.consumers.length > 0;
      const why = [service.error, service.relay?.error && `not published: ${service.relay.error}`,
        ...service.consumers.map((consumer) => consumer.error && `${consumer.source} not applied: ${consumer.error}`)].filter(Boolean);
      const row = el('tr', {}, head(service.name), cell(word, className), cell(waiting, service.relay?.waiting ? 'n warn' : 'n'),
        cell(isKnown ? late.join(', ') || '0' : '–', late.length ? 'n warn' : 'n'),
        cell(isKnown ? countFormat.format(aside) : '–', aside ? 'n bad' : 'n'));
      return why.length === 0 ? [row] : [row, el('tr', { className: 'why' }, el('td', { colSpan: 5 }, why.join('; ')))];
    }));
  },
};

const when = (at) => {
  if (at === null) {
    return '';
  }
  const time = new Date(at);
  return dayKeyFormat.format(time) === todayKey() ? clockFormat.format(time) : momentFormat.format(time);
};

const ago = (from) => {
  const seconds = Math.max(0, Math.round((serverNow() - new Date(from)) / 1000));
  if (seconds < 90) {
    return plural(seconds, 'second');
  }
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) {
    return plural(minutes, 'minute');
  }
  const hours = Math.round(minutes / 60);
  return hours < 36 ? plural(hours, 'hour') : plural(Math.round(hours / 24), 'day');
};

const showWatermark = () => {
  const mark = state.watermark;
  if (!mark) {
    return;
  }
  const positions = Object.entries(mark.positions).map(([source, sequence]) => `${source} ${countFormat.format(sequence)}`);
  const newest = mark.event_time ? `The newest event counted is of ${momentFormat.format(new Date(mark.event_time))}` : 'No event is counted yet';
  $('#watermark').textContent = `${newest}; counted up to ${positions.join(', ') || 'nothing'}. Version ${countFormat.format(mark.version)}, written ${ago(mark.written_at)} ago. Times and days are those of ${timeZone.replaceAll('_', ' ')}.`;
};

// Whoever listens is not told every sale.
const tell = (words) => {
  if (Date.now() - state.newsAt < NEWS_EVERY_MS || $('#news').textContent === words) {
    return;
  }
  state.newsAt = Date.now();
  $('#news').textContent = words;
};

// Charts.

const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const axis = (more) => ({ stroke: () => colour('--soft'), font: '12px system-ui, sans-serif', ticks: { show: false }, ...more });

const draw = (id, bars) => {
  const figure = $(`#${id}`);
  const chart = (charts[id] ??= makeChart(figure));
  const same = chart.bars.length === bars.length;
  chart.bars = bars;
  chart.plot.setData([bars.map((_, index) => index), bars.map((bar) => Number(bar.amount))]);
  if (!same || chart.at >= bars.length) {
    chart.at = -1;
  }
  chart.read(chart.at);
  $('tbody', figure).replaceChildren(...bars.map((bar) =>
    el('tr', {}, head(bar.label), cell(countFormat.format(bar.orders), 'n'), cell(money(bar.amount), 'n'))));
};

const makeChart = (figure) => {
  const host = $('.plot', figure);
  const readout = $('.readout', figure);
  const chart = { bars: [], at: -1, plot: null };
  chart.read = (index) => {
    chart.at = index;
    const best = chart.bars.reduce((most, bar) => (Number(bar.amount) > Number(most?.amount ?? 0) ? bar : most), null);
    const bar = chart.bars[index] ?? best;
    const words = bar ? `${bar === best ? 'Most: ' : ''}${bar.label}, ${money(bar.amount)} in ${plural(bar.orders, 'order')}` : '';
    if (readout.textContent !== words) {
      readout.textContent = words;
    }
  };
  const ticks = (plot) => {
    const every = Math.ceil(chart.bars.length / Math.max(2, Math.floor(plot.width / 56)));
    // Today is at the end of the days.
    const first = chart.bars[0]?.at.length === 10 ? (chart.bars.length - 1) % every : 0;
    return chart.bars.map((_, index) => index).filter((index) => index % every === first);
  };
  const size = () => ({ width: Math.max(200, Math.floor(host.clientWidth)), height: 190 });
  chart.plot = new uPlot({
    ...size(),
    padding: [10, 16, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { time: false, range: () => [-0.5, Math.max(chart.bars.length, 1) - 0.5] },
      y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.05 : 1] },
    },
    axes: [
      axis({ size: 28, gap: 4, grid: { show: false }, splits: ticks, values: (_, at) => at.map((index) => chart.bars[index]?.tick ?? '') }),
      axis({ size: 58, gap: 6, space: 44, grid: { stroke: () => colour('--line'), width: 1 }, values: (_, at) => at.map((value) => roughFormat.format(value)) }),
    ],
    series: [{}, {
      fill: () => colour('--bar'),
      width: 0,
      points: { show: false },
      paths: uPlot.paths.bars({ size: [0.7, 40] }),
    }],
    hooks: { setCursor: [(plot) => chart.read(plot.cursor.idx ?? -1)] },
  }, [[], []], host);
  new ResizeObserver(() => {
    if (size().width !== chart.plot.width) {
      chart.plot.setSize(size());
    }
  }).observe(host);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => chart.plot.redraw());
  host.addEventListener('keydown', (event) => {
    const last = chart.bars.length - 1;
    const to = { ArrowLeft: Math.max(0, chart.at < 0 ? last : chart.at - 1), ArrowRight: Math.min(last, chart.at + 1), Home: 0, End: last }[event.key];
    if (to === undefined || last < 0) {
      return;
    }
    event.preventDefault();
    chart.plot.setCursor({ left: chart.plot.valToPos(to, 'x'), top: 0 });
    chart.read(to);
  });
  return chart;
};

// The line to the service.

const connection = (name, words) => {
  const line = $('#link');
  if (line.dataset.state !== name || name !== 'live') {
    line.dataset.state = document.body.dataset.state = name;
  }
  if (line.textContent !== words) {
    line.textContent = words;
  }
};

const asOf = () => (state.watermark ? `as of ${clockFormat.format(state.heardAt + state.clockOffset)}` : 'nothing shown yet');

const heard = () => {
  state.heardAt = Date.now();
  state.failures = 0;
  connection('live', 'Live');
};

const lost = () => connection('stale', `Reconnecting, ${asOf()}`);

const connect = () => {
  clearTimeout(state.retry);
  state.source?.close();
  const query = state.day ? `?day=${encodeURIComponent(state.day)}` : '';
  const source = (state.source = new EventSource(`/api/live${query}`));
  source.addEventListener('beat', (event) => {
    state.clockOffset = new Date(JSON.parse(event.data)) - Date.now();
    heard();
  });
  for (const [name, render] of Object.entries(show)) {
    source.addEventListener(name, (event) => {
      heard();
      const panel = $(`#${name}`);
      const data = JSON.parse(event.data);
      panel.setAttribute('aria-busy', 'false');
      data.error ? fault(panel, data.error) : render(panel, data);
    });
  }
  source.onerror = () => {
    lost();
    if (source.readyState === EventSource.CLOSED) {
      again();
    }
  };
};

// The service refused: either it wants a token, or it is busy.
const again = async () => {
  const wait = RETRY_MS[Math.min(state.failures, RETRY_MS.length - 1)];
  state.failures += 1;
  try {
    const asked = await fetch('/api/fleet');
    if (asked.status === 401 || asked.status === 403) {
      location.assign('/login');
      return;
    }
  } catch {
    // It is away: the next try tells.
  }
  clearTimeout(state.retry);
  state.retry = setTimeout(connect, wait);
};

// Days.

const go = (day, push = true) => {
  state.day = day && day !== todayKey() ? day : null;
  state.shownOrders = null;
  if (push) {
    history.pushState(null, '', state.day ? `/?day=${state.day}` : '/');
  }
  for (const id of ['sales', 'receivables', 'orders']) {
    $(`#${id}`).setAttribute('aria-busy', 'true');
  }
  state.newsAt = 0;
  connect();
};

const step = (days) => {
  const day = ofDay($('#day').value || todayKey());
  day.setUTCDate(day.getUTCDate() + days);
  go(day.toISOString().slice(0, 10));
};

const fromAddress = () => {
  const day = new URLSearchParams(location.search).get('day');
  return /^\d{4}-\d{2}-\d{2}$/.test(day ?? '') ? day : null;
};

$('#earlier').addEventListener('click', () => step(-1));
$('#later').addEventListener('click', () => step(1));
$('#today').addEventListener('click', () => go(null));
$('#day').addEventListener('change', (event) => event.target.value && go(event.target.value));
addEventListener('popstate', () => go(fromAddress(), false));
addEventListener('offline', lost);
addEventListener('online', connect);
setInterval(() => {
  showWatermark();
  if (state.heardAt && Date.now() - state.heardAt > STALE_AFTER_MS && $('#link').dataset.state !== 'stale') {
    lost();
    connect();
  }
}, 1000);
$('#leave').hidden = open === 'true';
go(fromAddress(), false);
