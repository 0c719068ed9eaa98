// Parser of filters as the user writes them: kind=rain|wind year>=1990 place="the garden" licence=none

const TERM =
  /([A-Za-z0-9_.-]{1,64})\s*(>=|<=|=|>|<)\s*((?:"[^"]*"|[^\s,|"]+)(?:\s*\|\s*(?:"[^"]*"|[^\s,|"]+))*)/y;
const BOUNDS = { ">": "gt", ">=": "gte", "<": "lt", "<=": "lte" };

/**
 * Parse a filter; an empty one is null. The JSON of the API is accepted as well.
 * @throws {Error} with the position of the fault.
 */
export function parseFilter(text) {
  const source = text.trim();
  if (source === "") return null;
  if (source.startsWith("{")) return parseJson(source);
  const filter = {};
  for (const [name, sign, values] of terms(source)) {
    if (sign === "=") filter[name] = values.length === 1 ? values[0] : values;
    else filter[name] = { ...filter[name], [BOUNDS[sign]]: values[0] };
  }
  return filter;
}

function* terms(source) {
  let at = 0;
  while (at < source.length) {
    TERM.lastIndex = at;
    const found = TERM.exec(source);
    if (!found) {
      throw new Error(
        `The filter cannot be read at “${source.slice(at, at + 24)}”; write name=value.`,
      );
    }
    yield [found[1], found[2], found[3].match(/"[^"]*"|[^\s|"]+/g).map(valueOf)];
    at = TERM.lastIndex;
    at += source.slice(at).match(/^[\s,]*/)[0].length;
  }
}

function valueOf(text) {
  if (text.startsWith('"')) return text.slice(1, -1);
  if (text === "none") return null;
  if (text === "true" || text === "false") return text === "true";
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

function parseJson(source) {
  try {
    return JSON.parse(source);
  } catch (error) {
    throw new Error(`The filter is not JSON: ${error.message}`, { cause: error });
  }
}

/** Format a name and a value for `parseFilter`. */
export function filterText(name, value) {
  const isPlain =
    typeof value !== "string" || (/^[^\s,|"]+$/.test(value) && valueOf(value) === value);
  return `${name}=${isPlain ? value : `"${value}"`}`;
}
