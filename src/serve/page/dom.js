// Makes elements. Text from a file name, a server or a model is only ever inserted as a text node.

// Properties of an element; a name with a dash is an attribute.
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes('-') || key === 'role') made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

// A name in its own direction, which does not change the order of the words around it.
export const isolated = (name) => element('bdi', { textContent: name });

export const byId = (id) => document.getElementById(id);

// A message for screen readers, which the page does not show.
export function announce(text) {
  byId('status').textContent = text;
}

export const percent = (probability) => `${Math.round(100 * probability)} %`;

// A time: 2.5 s, or 1:02.5 from a minute on.
export function clock(seconds, digits = 1) {
  const rounded = Number(seconds.toFixed(digits));
  if (rounded < 60) return `${rounded.toFixed(digits)} s`;
  const minutes = Math.floor(rounded / 60);
  return `${minutes}:${(rounded - 60 * minutes).toFixed(digits).padStart(digits ? digits + 3 : 2, '0')}`;
}

export const decibels = (level) => `${level.toFixed(0).replace('-', '−')} dB`;

export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
