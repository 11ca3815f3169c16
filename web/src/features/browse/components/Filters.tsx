import { X } from 'lucide-react';
import { useSearchParams } from 'react-router';
import type { Stream } from '@/api/streams';
import { languageName } from '@/lib/languages';
import { t } from '@/text/t';
import { searchOf, valuesOf, type Choice } from '../model/choice';
import styles from './Filters.module.css';

interface Props {
  readonly streams: readonly Stream[];
  readonly choice: Choice;
}

/** What of the list is shown. A choice stands in the address. */
export function Filters({ streams, choice }: Props) {
  const [, setSearch] = useSearchParams();
  const change = (part: Partial<Choice>) => setSearch(searchOf({ ...choice, ...part }), { replace: true });
  const categories = valuesOf(streams, 'category', choice.category);
  const languages = valuesOf(streams, 'language', choice.language);
  return (
    <div className={styles.filters} role="group" aria-label={t('browse.filters')}>
      {choice.tag !== '' && (
        <button
          type="button"
          className={styles.tag}
          aria-label={`${t('browse.tag', { tag: choice.tag })}. ${t('browse.tag.remove')}`}
          onClick={() => change({ tag: '' })}
        >
          #{choice.tag} <X size={15} aria-hidden="true" />
        </button>
      )}
      {categories.length > 0 && (
        <select
          className={styles.select}
          aria-label={t('browse.category')}
          value={choice.category}
          onChange={(event) => change({ category: event.target.value })}
        >
          <option value="">{t('browse.category.all')}</option>
          {categories.map((category) => (
            <option key={category}>{category}</option>
          ))}
        </select>
      )}
      {languages.length > 0 && (
        <select
          className={styles.select}
          aria-label={t('browse.language')}
          value={choice.language}
          onChange={(event) => change({ language: event.target.value })}
        >
          <option value="">{t('browse.language.all')}</option>
          {languages.map((language) => (
            <option key={language} value={language}>
              {languageName(language)}
            </option>
          ))}
        </select>
      )}
      <select
        className={styles.select}
        aria-label={t('browse.sort')}
        value={choice.sort}
        onChange={(event) => change({ sort: event.target.value === 'newest' ? 'newest' : 'viewers' })}
      >
        <option value="viewers">{t('browse.sort.viewers')}</option>
        <option value="newest">{t('browse.sort.newest')}</option>
      </select>
    </div>
  );
}
