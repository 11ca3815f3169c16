import { Search } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { useNavigate, useSearchParams } from 'react-router';
import { SEARCH_MAX } from '@/api/search';
import { t } from '@/text/t';
import styles from './SearchBox.module.css';

const TYPING = 'input, textarea, select, [contenteditable], [role=dialog], [role=menu]';

/** The way to what one looks for. The key / leads into it. */
export function SearchBox() {
  const [params] = useSearchParams();
  const navigate = useNavigate();
  const box = useRef<HTMLInputElement>(null);
  const q = params.get('q') ?? '';

  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target instanceof Element && event.target.closest(TYPING)) return;
      event.preventDefault();
      box.current?.focus();
    };
    document.addEventListener('keydown', focus);
    return () => document.removeEventListener('keydown', focus);
  }, []);

  return (
    <form
      role="search"
      className={styles.box}
      action="/search"
      onSubmit={(event) => {
        event.preventDefault();
        const words = box.current?.value.trim() ?? '';
        // Where the header is narrow there is only the button; what it would ask for is shown already.
        const shown = words === q && document.activeElement !== box.current;
        if (words === '' || shown) box.current?.focus();
        else void navigate(`/search?${new URLSearchParams({ q: words }).toString()}`);
      }}
    >
      <input
        // Another search in the address is another text in the box.
        key={q}
        ref={box}
        type="search"
        name="q"
        defaultValue={q}
        aria-label={t('search.label')}
        aria-keyshortcuts="/"
        placeholder={t('search.placeholder')}
        maxLength={SEARCH_MAX}
        autoComplete="off"
        enterKeyHint="search"
        className={styles.input}
      />
      <button
        type="submit"
        className={styles.go}
        aria-label={t('search.go')}
        // The focus would open the box, and move the button away before it is released.
        onPointerDown={(event) => event.preventDefault()}
        onMouseDown={(event) => event.preventDefault()}
      >
        <Search size={18} aria-hidden="true" />
      </button>
    </form>
  );
}
