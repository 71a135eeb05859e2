// Places in ordered and unordered numbers: bisection, the k-th smallest, median and percentile as numpy takes them.

/** How many of the ascending numbers are below `value`. */
export function countBelow(ascending, value, length = ascending.length) {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many of the ascending numbers are at most `value`. */
export function countUpTo(ascending, value, length = ascending.length) {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts the k-th smallest of the first `length` numbers at place k, with none greater before and none smaller after. */
export function select(numbers, k, length = numbers.length) {
  let low = 0;
  let high = length - 1;
  while (low < high) {
    const pivot = median3(numbers[low], numbers[(low + high) >> 1], numbers[high]);
    let i = low;
    let j = high;
    while (i <= j) {
      while (numbers[i] < pivot) i++;
      while (numbers[j] > pivot) j--;
      if (i <= j) {
        const kept = numbers[i];
        numbers[i++] = numbers[j];
        numbers[j--] = kept;
      }
    }
    if (k <= j) high = j;
    else if (k >= i) low = i;
    else break;
  }
  return numbers[k];
}

function median3(a, b, c) {
  return a < b ? (b < c ? b : a < c ? c : a) : a < c ? a : b < c ? c : b;
}

/** The median; moves the numbers about. */
export function median(numbers) {
  const middle = numbers.length >> 1;
  const high = select(numbers, middle);
  return numbers.length % 2 ? high : (greatest(numbers, middle) + high) / 2;
}

function greatest(numbers, end) {
  let found = -Infinity;
  for (let i = 0; i < end; i++) if (numbers[i] > found) found = numbers[i];
  return found;
}

/** The percentile of the first `length` numbers, interpolated to the bit as numpy does; moves the numbers about. */
export function percentile(numbers, percent, length) {
  const place = (length - 1) * (percent / 100);
  const below = Math.floor(place);
  const low = select(numbers, below, length);
  if (below + 1 >= length) return low;
  let high = Infinity;
  for (let i = below + 1; i < length; i++) if (numbers[i] < high) high = numbers[i];
  const part = place - below;
  return part >= 0.5 ? high - (high - low) * (1 - part) : low + (high - low) * part;
}
