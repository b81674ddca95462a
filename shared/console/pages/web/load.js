// Reading from the API in a view.
import { useCallback, useEffect, useRef, useState } from "./html.js";

// useLoad reads with `read(signal)` whenever `key` changes, and again every `every` milliseconds while the tab is seen.
// What was read stays while it is read again, so that nothing jumps; `data` of another key is dropped.
export function useLoad(key, read, { every = 0 } = {}) {
  const [state, set] = useState({ key, data: null, error: null });
  const latest = useRef(read);
  latest.current = read;
  const running = useRef(null);
  const reload = useCallback(async () => {
    running.current?.abort();
    const control = new AbortController();
    running.current = control;
    try {
      const data = await latest.current(control.signal);
      if (!control.signal.aborted) set({ key, data, error: null });
    } catch (error) {
      if (!control.signal.aborted) set((was) => ({ key, data: was.key === key ? was.data : null, error }));
    }
  }, [key]);
  useEffect(() => {
    reload();
    const timer = every && setInterval(() => { if (!document.hidden) reload(); }, every);
    return () => {
      clearInterval(timer);
      running.current?.abort();
    };
  }, [reload, every]);
  const current = state.key === key;
  return { data: current ? state.data : null, stale: current ? null : state.data, error: current ? state.error : null, reload };
}

// useAction runs one thing at a time and keeps its error.
export function useAction(action) {
  const [state, set] = useState({ busy: false, error: null });
  const run = async (...args) => {
    if (state.busy) return undefined;
    set({ busy: true, error: null });
    try {
      const result = await action(...args);
      set({ busy: false, error: null });
      return result;
    } catch (error) {
      set({ busy: false, error });
      return undefined;
    }
  };
  return [run, state, () => set({ busy: false, error: null })];
}
